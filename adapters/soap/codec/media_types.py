"""Content-Type and Content-Disposition taken apart (RFC 9110 §8.3.1, RFC 6266)."""

from __future__ import annotations

import re
from typing import Final

_PARAMETER: Final = re.compile(r';\s*([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s"]*))')


def media_type(value: str) -> str:
    """The type without parameters, in lower case."""
    return value.partition(";")[0].strip().lower()


def parameters(value: str) -> dict[str, str]:
    """The parameters of a field; the first of a name counts."""
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(value):
        text = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        found.setdefault(match[1].lower(), text)
    return found
