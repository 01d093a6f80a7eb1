"""Header blocks of a caller's envelope: those that must be understood and are not, and what WS-Addressing asks of the answer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from lxml import etree

from adapters.soap.addressing import WSA
from adapters.soap.codec.envelope import child_called, must_be_understood
from adapters.soap.codec.markup import escape_attribute, escape_text
from adapters.soap.schema.model import clark, split
from gateway.api.errors import RequestRefused

FAULT_ACTION: Final = f"{WSA}/soap/fault"  # WS-Addressing 1.0 SOAP binding §6
_HERE: Final = (f"{WSA}/anonymous", f"{WSA}/none")  # Core §2.1: on the connection that the request came on, and nowhere


@dataclass(frozen=True, slots=True)
class Addressed:
    """The caller speaks WS-Addressing 1.0, so does its answer."""

    action: str
    message_id: str

    def answer(self, action: str) -> str:
        """The blocks of an answer (Core §3.4)."""
        relation = f'<wsa:RelatesTo xmlns:wsa="{WSA}">{escape_text(self.message_id)}</wsa:RelatesTo>'
        said = f'<wsa:Action xmlns:wsa="{WSA}">{escape_text(action)}</wsa:Action>'
        return said + (relation if self.message_id else "")


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """The names of blocks that must be understood, and are not."""

    names: tuple[str, ...]

    def block(self) -> str:
        """SOAP 1.2 part 1 §5.4.8: the fault names them in its header."""
        return "".join(
            f'<env:NotUnderstood xmlns:q="{escape_attribute(split(name)[0])}" qname="q:{split(name)[1]}"/>'
            for name in self.names
            if split(name)[0]
        )


def addressed(root: etree._Element) -> Addressed | None:
    """None where the envelope holds no WS-Addressing. Raises RequestRefused for an answer that is to go elsewhere."""
    blocks = {str(block.tag): block for block in _blocks(root)}
    action, message_id = (_text(blocks.get(clark(WSA, name))) for name in ("Action", "MessageID"))
    for name in ("ReplyTo", "FaultTo"):
        block = blocks.get(clark(WSA, name))
        if block is not None and _text(child_called(block, clark(WSA, "Address"))) not in _HERE:
            detail = (
                f"The answer comes back on this connection; send {name} with the anonymous address, or leave it out."
            )
            raise RequestRefused(400, "soap.reply-elsewhere", detail)
    return Addressed(action, message_id) if action or message_id else None


def not_understood(root: etree._Element, declared: Collection[str]) -> NotUnderstood | None:
    """SOAP 1.1 §4.2.3, SOAP 1.2 part 1 §2.4."""
    names = tuple(
        str(block.tag)
        for block in _blocks(root)
        if block.tag not in declared and split(str(block.tag))[0] != WSA and must_be_understood(block)
    )
    return NotUnderstood(names) if names else None


def _blocks(root: etree._Element) -> list[etree._Element]:
    header = child_called(root, clark(split(str(root.tag))[0], "Header"))
    return list(header) if header is not None else []


def _text(node: etree._Element | None) -> str:
    return (node.text or "").strip() if node is not None else ""
