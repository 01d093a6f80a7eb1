"""WS-Addressing 1.0 message headers: what a request says of itself, what its answer must relate to. Pure."""

from __future__ import annotations

from typing import Final

from lxml import etree

from adapters.soap.codec.errors import Deviation
from adapters.soap.codec.markup import escape_text

WSA: Final = "http://www.w3.org/2005/08/addressing"


def addressing_blocks(action: str, to: str, message_id: str, *, answered: bool) -> str:
    """The header blocks of a request (WS-Addressing 1.0 Core §3.2, SOAP binding §3)."""
    reply_to = f"<wsa:ReplyTo><wsa:Address>{WSA}/anonymous</wsa:Address></wsa:ReplyTo>" if answered else ""
    return "".join(
        block.replace(">", f' xmlns:wsa="{WSA}">', 1)
        for block in (
            f'<wsa:Action env:mustUnderstand="1">{escape_text(action)}</wsa:Action>',
            f"<wsa:To>{escape_text(to)}</wsa:To>",
            f"<wsa:MessageID>{escape_text(message_id)}</wsa:MessageID>",
            reply_to,
        )
        if block
    )


def check_relation(root: etree._Element, message_id: str) -> None:
    """An answer that says what it relates to must mean this request (Core §3.4). Raises Deviation."""
    related = root.find(f"{{*}}Header/{{{WSA}}}RelatesTo")
    if related is not None and (related.text or "").strip() != message_id:
        raise Deviation("relates to another message", "RelatesTo")
