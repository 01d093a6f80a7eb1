"""Messages with binary parts beside them: which form they take, on the SOAP side and on the JSON side."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from secrets import token_hex
from typing import Final
from urllib.parse import unquote

from adapters.soap.codec.multipart import Part, join_parts, root_id
from adapters.soap.schema.service_model import Version

MEDIA: Final[dict[Version, str]] = {"1.1": "text/xml", "1.2": "application/soap+xml"}
JSON: Final = b"application/json"
Attached = tuple[str, str, bytes]
"""Content-ID, media type, octets."""


def as_attached(parts: Mapping[str, Part]) -> list[Attached]:
    return [(content_id, part.headers.get("content-type", ""), part.content) for content_id, part in parts.items()]


def soap_head(version: Version, action: str, boundary: str, root: str, *, loose: bool) -> tuple[str, str]:
    """Content type of the message, and of its root, whose Content-ID is `root`.

    `loose`: parts that mime:content sends, as SwA; else MTOM.
    """
    media = MEDIA[version]
    said = f'; action="{action}"' if version == "1.2" and action else ""
    if loose:  # SwA (W3C note of 11 December 2000): the envelope as it is
        kind, parameters = f"{media}; charset=utf-8{said}", f'type="{media}"'
    else:  # MTOM §3.2: the root is XOP, and says what it was
        kind = f'application/xop+xml; charset=utf-8; type="{media}"'
        parameters = f'type="application/xop+xml"; start-info="{media}"{said}'
    return f'multipart/related; {parameters}; start="<{root}>"; boundary="{boundary}"', kind


def soap_message(
    envelope: bytes, version: Version, action: str, attached: Iterable[Attached], *, loose: bool = False
) -> tuple[bytes, bytes]:
    """Content type and body of an envelope with its attachments."""
    boundary = token_hex(20)
    content_type, kind = soap_head(version, action, boundary, root_id(boundary), loose=loose)
    return content_type.encode(), join_parts(boundary, envelope, kind, attached)


def json_head(boundary: str) -> bytes:
    return f'multipart/related; type="application/json"; start="<{root_id(boundary)}>"; boundary="{boundary}"'.encode()


def json_message(document: bytes, parts: Mapping[str, Part]) -> tuple[bytes, bytes]:
    """Content type and body of JSON; with the parts that it refers to, where there are any."""
    if not parts:
        return JSON, document
    boundary = token_hex(20)
    return json_head(boundary), join_parts(boundary, document, JSON.decode(), as_attached(parts))


def lookup(parts: Mapping[str, Part], form: str) -> Callable[[str], object]:
    """What stands in JSON for the part that a cid: URI names; None where there is no such part."""

    def find(content_id: str) -> object:
        part = parts.get(content_id) or parts.get(unquote(content_id))
        if part is None:
            return None
        return b64encode(part.content).decode() if form == "base64" else f"cid:{part.content_id or content_id}"

    return find
