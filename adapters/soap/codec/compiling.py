"""Whether a type may be compiled while a message waits for it. It takes a millisecond, and a message may need hundreds."""

from __future__ import annotations

from collections.abc import Callable

MayCompile = Callable[[], bool]


class NotCompiled(Exception):
    """The message needs types that are not compiled yet, and nobody may wait for them here. Nothing has been done."""


def always() -> bool:
    return True
