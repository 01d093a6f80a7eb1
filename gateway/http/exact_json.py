"""JSON text to values, exactly: decimals stay decimal, and nothing is overlooked. Knows no schema and no record."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import NoReturn


class BadJson(ValueError):
    """The bytes are no JSON, or JSON whose meaning depends on who reads it. The message holds none of them."""


def load_json(body: bytes) -> object:
    """Parse a body. An empty one is an empty object: operations without content take it. Raises BadJson."""
    if not body or body.isspace():
        return {}
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except BadJson:
        raise
    except UnicodeDecodeError as exc:
        raise BadJson("the body is not UTF-8") from exc
    except json.JSONDecodeError as exc:
        raise BadJson(f"the body is not JSON (line {exc.lineno}, column {exc.colno})") from exc
    except RecursionError as exc:
        raise BadJson("the body is nested too deeply") from exc
    except ValueError as exc:  # int() refuses more than 4,300 digits
        raise BadJson("the body holds a number with too many digits") from exc


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):  # RFC 8259 §4: readers differ in which one they take
        raise BadJson("the body holds an object with two members of the same name")
    return members


def _constant(text: str) -> NoReturn:
    raise BadJson("the body holds NaN or Infinity, which are no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_float=Decimal, parse_constant=_constant)
