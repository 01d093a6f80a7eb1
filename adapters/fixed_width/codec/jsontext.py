"""JSON text with exact decimals, both ways. Knows no records.

orjson writes; what it does not know (Decimal) it takes as a fragment. Reading is the standard library's, because
orjson turns 0.1 and integers beyond 64 bits into floats.
"""

from __future__ import annotations

import json
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


_read = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_no_duplicates).decode


def loads(raw: bytes) -> Any:
    """The value of JSON text, numbers as int or Decimal. Raises ValueError, also for members that stand twice."""
    try:
        return _read(raw.decode("utf-8"))
    except InvalidOperation as exc:
        raise ValueError("a number that is out of all range") from exc
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
