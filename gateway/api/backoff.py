"""How long to wait before something that failed is tried again. Pure: who waits counts the failures."""

from __future__ import annotations


def doubled_s(failures: int, first_s: float, longest_s: float) -> float:
    """Seconds to wait after so many failures in a row: 0.0 after none, then `first_s`, twice as long each time."""
    return min(longest_s, first_s * 2.0 ** min(failures - 1, 60)) if failures else 0.0
