"""What a compiled simple type is: a way to write it and a way to read it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

WHITE: Final = " \t\r\n"
"""White space (XML 1.0 §2.3). Python knows more of it: a no-break space is text like any other."""
_GAP: Final = re.compile("[ \t\r\n]+")

Numbers = Literal["string", "number"]


class Qualified(str):
    """Qualified names, white space between them, whose prefixes only the element around them can declare or resolve."""


@dataclass(frozen=True, slots=True)
class Lexical:
    """One simple type, compiled. `plain`: its text never needs escaping."""

    write: Callable[[object], str]  # raises Misfit
    read: Callable[[str], object]  # raises Odd
    plain: bool = False
    qname: bool = False  # what it reads and writes may be, or hold, a Qualified


def words(text: str) -> list[str]:
    """What stands between white space; joined by one space, it is the text collapsed (XSD 1.0 part 2 §4.3.6)."""
    text = text.strip(WHITE)
    return _GAP.split(text) if text else []
