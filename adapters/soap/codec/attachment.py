"""Binary content that travels beside the envelope: what stands for it in JSON, and in the markup (XOP 1.0)."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.soap.codec.markup import escape_attribute


@dataclass(frozen=True, slots=True)
class Attachment:
    """Stands in JSON where binary content travels beside the envelope (XOP, or a SwA href)."""

    content_id: str


def include(start: str, end: str, attachment: Attachment) -> str:
    """XOP 1.0 §2.1: the octets are in the part with this Content-ID."""
    content_id = escape_attribute(attachment.content_id)
    return f'{start}><xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:{content_id}"/>{end}'
