"""XML Schema regular expressions (part 2 appendix F) as tests on Python strings. Knows no types."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final
from xml.sax.saxutils import quoteattr

from lxml import etree

# XML 1.0 (5th edition) §2.3, without the colon
_START: Final = (
    "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f"
    "\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_CHAR: Final = _START + "0-9.\u00b7\u0300-\u036f\u203f-\u2040\\-"
NCNAME: Final = re.compile(f"[{_START}][{_CHAR}]*")
NAME: Final = re.compile(f"[{_START}:][{_CHAR}:]*")
NMTOKEN: Final = re.compile(f"[{_CHAR}:]+")

MAX_TESTED: Final = 100_000  # characters; a pattern is there for codes and numbers, not for documents

_CLASSES: Final = {
    "s": " \\t\\n\\r",
    "d": "\\d",
    "i": _START + ":",
    "c": _CHAR + ":",
}


class BadPattern(ValueError):
    """Not a regular expression of XML Schema."""


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """A test whether a whole string matches. Raises BadPattern.

    What Python's syntax has no word for (categories, blocks, subtraction) is left to libxml2: exact, but some ten times slower.
    """
    translated = _translate(pattern)
    if translated is None:
        return _by_libxml2(pattern)
    try:
        matches = re.compile(translated).fullmatch
    except (re.error, OverflowError, RecursionError) as exc:
        raise BadPattern(f"the pattern is not a regular expression: {exc}") from exc
    return lambda text: len(text) <= MAX_TESTED and matches(text) is not None


def _translate(pattern: str) -> str | None:
    """The same in Python's syntax, or None when it has none."""
    out: list[str] = []
    depth = 0  # within a character class
    position, end = 0, len(pattern)
    while position < end:
        char = pattern[position]
        position += 1
        if char == "\\":
            if position == end:
                raise BadPattern("the pattern ends in a backslash")
            escape = pattern[position]
            position += 1
            if escape in "pPwW":
                return None
            if escape.lower() in _CLASSES:
                inside = _CLASSES[escape.lower()]
                if escape.islower():
                    out.append(inside if depth else f"[{inside}]")
                elif depth:
                    return None
                else:
                    out.append(f"[^{inside}]")
            elif escape in "nrt":
                out.append("\\" + escape)
            elif escape in "\\|.?*+(){}-[]^$/,:;#&@!\"'%=<>~_` ":
                out.append(re.escape(escape))
            else:
                raise BadPattern(f"the pattern has an unknown escape \\{escape}")
        elif depth:
            if char == "[":
                return None  # subtraction
            if char == "]":
                depth = 0
                out.append("]")
            elif char == "^" and out[-1] == "[":
                out.append("^")
            else:
                out.append("\\" + char if char in "&|~^" else char)
        elif char == "[":
            depth = 1
            out.append("[")
        elif char in "^$":
            out.append("\\" + char)
        elif char == ".":
            out.append("[^\\n\\r]")
        elif char == "(" and pattern.startswith("?", position):
            raise BadPattern("the pattern has a group (?…), which XML Schema does not know")
        else:
            out.append(char)
            if char in "*+?}" and pattern.startswith(("+", "?"), position):
                raise BadPattern("the pattern repeats a repetition")
    return "".join(out)


def _by_libxml2(pattern: str) -> Callable[[str], bool]:
    text = (
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element name="v"><xs:simpleType>'
        f'<xs:restriction base="xs:string"><xs:pattern value={quoteattr(pattern)}/></xs:restriction>'
        "</xs:simpleType></xs:element></xs:schema>"
    )
    try:
        schema = etree.XMLSchema(etree.fromstring(text))
    except etree.LxmlError as exc:
        raise BadPattern("the pattern is not a regular expression of XML Schema") from exc

    def test(value: str) -> bool:
        if len(value) > MAX_TESTED:
            return False
        element = etree.Element("v")
        element.text = value
        return schema.validate(element)

    return test


def translatable(pattern: str) -> bool:
    """Whether other dialects (ECMA 262) read the pattern as XML Schema does."""
    return re.search(r"\\[icICpPwW]|-\[|[\^$]", pattern) is None
