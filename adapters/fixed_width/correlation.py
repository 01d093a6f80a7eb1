"""The field that tells on a shared connection whose answer came: where it is in both records, and what it is filled with."""

from __future__ import annotations

import random
from typing import Any

from adapters.fixed_width.codec.plan.literals import is_number
from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.errors import CopybookError
from adapters.fixed_width.mapping import keys_to
from adapters.fixed_width.model import Item, Kind
from gateway.api.messages import Correlation

_BEFORE = {"rdw": 4, "bdw": 8}  # octets that a record's own framing puts in front of it


class Correlator:
    """Compiled once for a route. Raises CopybookError when the two fields cannot be compared octet by octet."""

    def __init__(self, request: RecordCodec, response: RecordCodec, fields: tuple[str, str]) -> None:
        mine, theirs = (codec.constant_field(name)[0] for codec, name in zip((request, response), fields, strict=True))
        if _form(mine) != _form(theirs) or request.options.codepage != response.options.codepage:
            raise CopybookError(f"{fields[0]} and {fields[1]}: the two must have one picture, usage and code page")
        self._numeric = is_number(mine, request.options)
        if not (self._numeric or mine.kind in (Kind.TEXT, Kind.NATIONAL)) or (mine.picture and mine.picture.scale):
            raise CopybookError(f"{fields[0]}: text or an integer is needed")
        if len(request.plans) > 1:
            raise CopybookError(f"{fields[0]}: calls that share connections have one type of record")
        self._keys = keys_to(request, fields[0])
        digits = mine.picture.digits if mine.picture else 0
        self._width = digits or (mine.size // 2 if mine.kind is Kind.NATIONAL else mine.size)
        self._space = 10**self._width
        self._next = random.randrange(self._space)  # noqa: S311  # not a secret: late answers of an earlier run should not fit
        self._place = mine.offset + _BEFORE.get(request.options.record_format.kind, 0)
        self._length = mine.size
        self._answer = theirs.offset + _BEFORE.get(response.options.record_format.kind, 0)

    def fill(self, value: Any) -> Any:
        """`value` with the field in it: the one it has, else the next of a row."""
        *groups, last = self._keys
        if type(value) is not dict:
            return value  # for the plan to refuse
        filled = inside = dict(value)
        for group in groups:
            below = inside.get(group, {})
            if type(below) is not dict:
                return value
            inside[group] = inside = dict(below)
        if inside.get(last) is None:
            self._next = (self._next + 1) % self._space
            inside[last] = self._next if self._numeric else f"{self._next:0{self._width}d}"
        return filled

    def of(self, record: bytes) -> Correlation:
        """How the answer to this record will be known."""
        return Correlation(record[self._place : self._place + self._length], self._answer)


def _form(item: Item) -> tuple[object, ...]:
    return item.kind, item.size, item.sign, item.little_endian, None if item.picture is None else item.picture.digits
