"""multipart/related and multipart/form-data (RFC 2387, RFC 7578) in memory: MTOM, SwA and the caller's side.

Pure: boundaries and ids are arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapters.soap.codec.media_types import parameters
from adapters.soap.codec.parts_reader import BadMultipart, End, PartHead, PartsReader


def root_id(boundary: str) -> str:
    """The root's Content-ID: not to be guessed, or a caller's own part could pass for the root."""
    return f"{boundary[-16:]}.root@sluicegate"


@dataclass(frozen=True, slots=True)
class Part(PartHead):
    """One part: its header, and its octets decoded."""

    headers: Mapping[str, str]
    content: bytes


def split_parts(body: bytes, content_type: str) -> list[Part]:
    """The parts of a body. Raises BadMultipart."""
    reader = PartsReader(content_type)
    parts: list[Part] = []
    head: PartHead | None = None
    pieces: list[bytes] = []
    for event in reader.feed(body):
        match event:
            case PartHead():
                head, pieces = event, []
            case End.PART:
                assert head is not None, "a part begins with its header"
                parts.append(Part(head.headers, b"".join(pieces)))
            case bytes():
                pieces.append(event)
    reader.close()
    return parts


def root_and_rest(parts: list[Part], content_type: str) -> tuple[Part, dict[str, Part]]:
    """The root (RFC 2387 §3.2: the one `start` names, else the first) and the others by Content-ID."""
    if not parts:
        raise BadMultipart("the multipart message is empty")
    start = parameters(content_type).get("start", "").strip("<>")
    root = next((part for part in parts if start and part.content_id == start), parts[0])
    return root, {part.content_id or f"part{index}": part for index, part in enumerate(parts) if part is not root}


def join_parts(
    boundary: str,
    root: bytes,
    root_type: str,
    attachments: Iterable[tuple[str, str, bytes]],
) -> bytes:
    """A multipart/related body; attachments are Content-ID, media type and octets. `boundary` must not occur in any of them."""
    out = [part_head(boundary, root_type, root_id(boundary)), root]
    for content_id, kind, content in attachments:
        out += [b"\r\n", part_head(boundary, kind, content_id), content]
    out.append(end_of(boundary))
    return b"".join(out)


def end_of(boundary: str) -> bytes:
    return f"\r\n--{boundary}--\r\n".encode("ascii")


def part_head(boundary: str, kind: str, content_id: str) -> bytes:
    """The line of the boundary, without the line end before it, and the part's header."""
    # both come from a backend or a caller: what is no visible ASCII must not end a line here
    kind = re.sub(r"[^ -~]", "", kind) or "application/octet-stream"
    content_id = re.sub(r"[^!-;=?-~]", "", content_id)
    return (
        f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{content_id}>\r\n\r\n"
    ).encode("ascii")
