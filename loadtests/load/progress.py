"""What is going on, for whoever waits at the terminal."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Progress: one line that is written over on a terminal, lines elsewhere only when they end."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text.endswith("\n"):
        print(text, end="", file=sys.stderr, flush=True)
