"""JSON text with exact decimals, both ways. Knows no records.

orjson writes; what it does not know (Decimal) it takes as a fragment.
"""

from __future__ import annotations

from decimal import Decimal

import orjson

from gateway.http.exact_json import json_reader


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


loads = json_reader()
"""The value of JSON text, numbers as int or Decimal. Raises ValueError, also for members that stand twice."""

loads_raw = json_reader(str.encode)
"""The same for values that go straight into a record: a number with places or an exponent stays octets, as written."""
