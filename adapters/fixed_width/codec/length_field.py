"""A record's own length in one of its fields: filled in where it is not given, checked where it is. Frames nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapters.fixed_width.codec.shape import Node
from adapters.fixed_width.errors import CopybookError, RecordError
from adapters.fixed_width.model import Item


def with_length(field: Item, record: Node, encode: Callable[[Any], bytes], value: Any) -> bytes:
    """The bytes of a record. A length that is not given is filled in; one that is given must be right."""
    keys = _keys_to(record, field)
    given = _at(value, keys)
    octets = encode(value if given is not None else _put(value, keys, 0))
    length = str(len(octets))
    if given is None:
        return encode(_put(value, keys, int(length)))
    if str(given).lstrip("0") != length:
        raise RecordError(
            f"the length field must say {length}",
            field=field.path,
            offset=field.offset,
            pointer="".join(f"/{key}" for key in keys),
        )
    return octets


def _keys_to(node: Node, item: Item) -> list[str]:
    """The members that lead from a record's value to one item."""
    for member in node.members:
        if isinstance(member, Node):
            if member.item is item:
                return [member.key or ""]
            if member.item in item.ancestors():
                return [member.key or "", *_keys_to(member, item)]
    raise CopybookError("length: the field is not a member of the record")


def _at(value: Any, keys: list[str]) -> Any:
    for key in keys:
        value = value.get(key) if type(value) is dict else None
    return value


def _put(value: Any, keys: list[str], new: object) -> Any:
    """A copy of `value` with one member set; what is no object stays, for the plan to refuse."""
    if type(value) is not dict:
        return value
    key, *rest = keys
    return {**value, key: _put(value.get(key, {}), rest, new) if rest else new}
