"""Bytes of what has no name in JSON: VALUE, else blanks and zeros. Emits no code."""

from __future__ import annotations

from collections.abc import Callable

from adapters.fixed_width.codec.codepages import CodePage
from adapters.fixed_width.codec.plan.literals import literal_octets
from adapters.fixed_width.codec.shape import Family, Gap, Node
from adapters.fixed_width.errors import CopybookError
from adapters.fixed_width.model import Item, Kind
from adapters.fixed_width.options import Options

Initial = Callable[[Item], object]
Constant = Callable[[Item, object, Options, CodePage], bytes]


def filler(node: Node, options: Options, page: CodePage, initial: Initial, constant_bytes: Constant) -> bytes:
    """All occurrences of a nameless item. `constant_bytes` encodes one elementary item with its initial value."""
    item = node.item
    if item.is_group:
        once = _group_value(item, page) if item.value is not None else b""
        for member in node.members if item.value is None else ():
            match member:
                case Gap():
                    once += bytes(member.size)
                case Family():
                    first = filler(member.alternatives[0], options, page, initial, constant_bytes)
                    once += first.ljust(member.size, page.blank)
                case Node():
                    once += filler(member, options, page, initial, constant_bytes)
    elif item.kind is Kind.TEXT and item.value is None:
        once = page.blank * item.size
    elif item.kind is Kind.TEXT and item.value is not None and (raw := literal_octets(item, item.value)) is not None:
        once = raw[: item.size].ljust(item.size, page.blank)
    else:
        once = constant_bytes(item, initial(item), options, page)
    return (once + bytes(item.slack_after)) * (item.occurs.most if item.occurs else 1)


def _group_value(item: Item, page: CodePage) -> bytes:
    """The bytes of a group with VALUE ("VALUE clause": its area is filled without regard to what it contains)."""
    literal = item.value
    assert literal is not None, "checked by the caller"
    fills = {"space": " ", "low": "\0", "zero": "0", "quote": '"', "all": literal.text}
    if (raw := literal_octets(item, literal)) is None:
        try:
            raw = page.encode(fills.get(literal.kind, literal.text))
        except UnicodeError as exc:
            raise CopybookError(
                "VALUE: a character that the code page does not have",
                line=item.line,
                column=item.column,
                file=item.file,
            ) from exc
    if literal.kind in fills:
        raw *= item.size
    return raw[: item.size].ljust(item.size, page.blank)
