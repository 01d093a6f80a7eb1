"""multipart/related and multipart/form-data (RFC 2387, RFC 7578, RFC 2046 §5.1) in memory: MTOM, SwA and the caller's side.

Pure: boundaries and ids are arguments.
"""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

MAX_PARTS: Final = 200
MAX_PART_HEAD: Final = 8192  # octets
_PARAMETER: Final = re.compile(r';\s*([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s"]*))')
_UNSAFE: Final = re.compile(r"[^!-~]")


class BadMultipart(ValueError):
    """The bytes are no multipart message. The message holds none of them."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: lower-case header names, its octets decoded."""

    headers: Mapping[str, str]
    content: bytes

    @property
    def content_id(self) -> str:
        return self.headers.get("content-id", "").strip().strip("<>")

    @property
    def media_type(self) -> str:
        return media_type(self.headers.get("content-type", "application/octet-stream"))

    @property
    def name(self) -> str:
        return parameters(self.headers.get("content-disposition", "")).get("name", "")


def media_type(value: str) -> str:
    """The type without parameters, in lower case."""
    return value.partition(";")[0].strip().lower()


def parameters(value: str) -> dict[str, str]:
    """The parameters of a Content-Type or Content-Disposition; the first of a name counts."""
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(value):
        text = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        found.setdefault(match[1].lower(), text)
    return found


def split_parts(body: bytes, content_type: str) -> list[Part]:
    """The parts of a body. Raises BadMultipart."""
    boundary = parameters(content_type).get("boundary", "")
    if not boundary or len(boundary) > 70 or _UNSAFE.search(boundary.replace(" ", "-")):
        raise BadMultipart("the multipart message has no usable boundary")
    delimiter = b"\r\n--" + boundary.encode("ascii")
    pieces = (b"\r\n" + body).split(delimiter)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise BadMultipart("the multipart message has no end")
    if len(pieces) - 2 > MAX_PARTS:
        raise BadMultipart(f"the multipart message has more than {MAX_PARTS} parts")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    start = piece.find(b"\r\n")
    if start < 0 or piece[:start].strip(b" \t"):
        raise BadMultipart("a part of the multipart message is malformed")
    content = piece[start + 2 :]
    if content.startswith(b"\r\n"):
        head, content = b"", content[2:]
    else:
        end = content.find(b"\r\n\r\n", 0, MAX_PART_HEAD)
        if end < 0:
            raise BadMultipart("a part of the multipart message has no end of its header")
        head, content = content[:end], content[end + 4 :]
    headers: dict[str, str] = {}
    for line in re.sub(rb"\r\n[ \t]+", b" ", head).split(b"\r\n"):
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise BadMultipart("a part of the multipart message has a malformed header")
        headers.setdefault(name.strip().lower(), value.strip())
    try:
        match headers.get("content-transfer-encoding", "binary").lower():
            case "base64":
                content = binascii.a2b_base64(content)
            case "quoted-printable":
                content = quopri.decodestring(content)
    except ValueError as exc:
        raise BadMultipart("a part of the multipart message does not decode") from exc
    return Part(headers, content)


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
    root_id: str = "root@sluicegate",
) -> bytes:
    """A multipart/related body; attachments are Content-ID, media type and octets. `boundary` must not occur in any of them."""
    out = [_head(boundary, root_type, root_id), root]
    for content_id, kind, content in attachments:
        out += [b"\r\n", _head(boundary, kind, content_id), content]
    out.append(f"\r\n--{boundary}--\r\n".encode("ascii"))
    return b"".join(out)


def _head(boundary: str, kind: str, content_id: str) -> bytes:
    # both come from a backend or a caller: what is no visible ASCII must not end a line here
    kind = re.sub(r"[^ -~]", "", kind) or "application/octet-stream"
    content_id = re.sub(r"[^!-;=?-~]", "", content_id)
    return (
        f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{content_id}>\r\n\r\n"
    ).encode("ascii")
