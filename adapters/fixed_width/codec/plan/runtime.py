"""What generated encoding code calls when something is wrong or left out. Runs only then."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from adapters.fixed_width.codec.numbers import Misfit, as_number, json_type
from adapters.fixed_width.codec.plan.faults import UnknownMember


def as_float(value: object) -> int | float | Decimal:
    return value if type(value) is float else as_number(value)


def too_big(value: int, signed: bool, whole: int) -> Misfit:
    if value < 0 and not signed:
        return Misfit("a negative number, and the field has no sign")
    return Misfit(f"the number has more than {max(whole, 0)} digits before the decimal point")


def no_text(value: object) -> Misfit:
    return Misfit(f"a string is expected, not {json_type(value)}")


def count(value: Any, keys: tuple[str, ...], fallback: int | None) -> int:
    for key in keys:
        value = value.get(key) if type(value) is dict else None
    if type(value) is list:
        return len(value)
    if value is None and fallback is not None:
        return fallback
    raise Misfit("missing")


def no_object(value: object) -> Misfit:
    return Misfit(f"an object is expected, not {json_type(value)}")


def no_array(value: object) -> Misfit:
    return Misfit(f"an array is expected, not {json_type(value)}")


def unknown(value: dict[str, Any], keys: frozenset[str]) -> None:
    for key in value:
        if key not in keys:
            raise UnknownMember(key)
