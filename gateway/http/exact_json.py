"""JSON text to values, exactly: no digit is lost, and nothing is overlooked. Knows no schema and no record.

By the standard library: orjson turns 0.1, and integers beyond 64 bits, into floats.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn


class BadJson(ValueError):
    """The bytes are no JSON, or JSON whose meaning depends on who reads it. The message holds none of them."""


def json_reader(parse_float: Callable[[str], Any] = Decimal) -> Callable[[bytes], Any]:
    """A reader of JSON text whose numbers with places or exponents go through `parse_float`. It raises BadJson."""
    decoder = json.JSONDecoder(parse_float=parse_float, parse_constant=_constant, object_pairs_hook=_members)
    # the same in C, without two regular expressions around it: 1 µs of 14 (loadtests/fixed_width.py)
    scan = decoder.scan_once  # type: ignore[attr-defined]  # the stubs do not know it

    def parse(text: str) -> Any:
        try:
            value, end = scan(text, 0)
        except StopIteration:
            return decoder.decode(text)  # blanks in front, or no JSON: it says which
        return value if text[end:] in ("", "\n") else decoder.decode(text)

    def read(raw: bytes) -> Any:
        try:
            return parse(raw.decode("utf-8"))
        except BadJson:
            raise
        except UnicodeDecodeError as exc:
            raise BadJson("not UTF-8") from exc
        except json.JSONDecodeError as exc:
            raise BadJson(f"not JSON (line {exc.lineno}, column {exc.colno})") from exc
        except RecursionError as exc:
            raise BadJson("nested too deeply") from exc
        except InvalidOperation as exc:  # an exponent of twenty digits
            raise BadJson("a number that is out of all range") from exc
        except ValueError as exc:  # int() refuses more than 4,300 digits
            raise BadJson("a number with too many digits") from exc

    return read


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):  # RFC 8259 §4: readers differ in which one they take
        raise BadJson("a member stands twice in one object")
    return members


def _constant(text: str) -> NoReturn:
    raise BadJson("NaN and Infinity are no JSON")


_read = json_reader()


def load_json(body: bytes) -> Any:
    """The value of a message's body, numbers as int or Decimal. An empty body is an empty object. Raises BadJson."""
    return _read(body) if body and not body.isspace() else {}
