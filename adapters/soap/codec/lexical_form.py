"""What a compiled simple type is: a way to write it and a way to read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Numbers = Literal["string", "number"]


@dataclass(frozen=True, slots=True)
class Lexical:
    """One simple type, compiled. `plain`: its text never needs escaping."""

    write: Callable[[object], str]  # raises Misfit
    read: Callable[[str], object]  # raises Odd
    plain: bool = False
    qname: bool = False  # its text is a QName, whose prefix only the element around it can resolve
