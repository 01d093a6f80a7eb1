"""JSON text with exact decimals, both ways. Knows no records.

orjson writes; what it does not know (Decimal) it takes as a fragment. Reading is the standard library's, because
orjson turns 0.1 and integers beyond 64 bits into floats.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import orjson


def _fragment(value: object) -> orjson.Fragment:
    if type(value) is Decimal:
        text = str(value)
        if "E" in text and -40 < value.adjusted() < 40:
            text = format(value, "f")
        return orjson.Fragment(text)
    if type(value) is int:
        return orjson.Fragment(str(value))  # beyond 64 bits
    raise TypeError(f"no JSON for {type(value).__name__}")


def dumps(value: object) -> bytes:
    """Compact UTF-8 JSON; decimals with all their places."""
    return orjson.dumps(value, default=_fragment)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands twice in one object")
    return found


def _reader(parse_float: Callable[[str], Any]) -> Callable[[str], Any]:
    decoder = json.JSONDecoder(
        parse_float=parse_float, parse_constant=_refuse_constant, object_pairs_hook=_no_duplicates
    )
    # the same in C, without two regular expressions around it: 1 µs of 14 (loadtests/fixed_width.py)
    scan = decoder.scan_once  # type: ignore[attr-defined]

    def read(text: str) -> Any:
        try:
            value, end = scan(text, 0)
        except StopIteration:
            return decoder.decode(text)  # blanks in front, or no JSON: it says which
        return value if text[end:] in ("", "\n") else decoder.decode(text)

    return read


_exact = _reader(Decimal)
_written = _reader(str.encode)


def loads(raw: bytes) -> Any:
    """The value of JSON text, numbers as int or Decimal. Raises ValueError, also for members that stand twice."""
    return _value(raw, _exact)


def loads_raw(raw: bytes) -> Any:
    """The same for values that go straight into a record: a number with places or an exponent stays octets, as written."""
    return _value(raw, _written)


def _value(raw: bytes, read: Callable[[str], Any]) -> Any:
    try:
        return read(raw.decode("utf-8"))
    except InvalidOperation as exc:
        raise ValueError("a number that is out of all range") from exc
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
