"""COBOL names as JSON names. Knows the styles, nothing of items."""

from __future__ import annotations

import re
from collections.abc import Callable


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[-_]+", name.lower()) if word] or [name.lower()]


def _camel(name: str) -> str:
    first, *rest = _words(name)
    return first + "".join(word.capitalize() for word in rest)


STYLES: dict[str, Callable[[str], str]] = {
    "snake": lambda name: "_".join(_words(name)),
    "kebab": lambda name: "-".join(_words(name)),
    "camel": _camel,
    "cobol": lambda name: name,
}


def json_name(name: str, style: str) -> str:
    """`CUST-ID` as `cust_id`, `cust-id`, `custId` or as written."""
    return STYLES[style](name)
