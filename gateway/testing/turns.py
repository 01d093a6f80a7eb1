"""Waits for conditions, never for time: turns of the event loop until something is so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], *, within_s: float = 5.0) -> int:
    """Let the event loop turn until `condition()` is true; returns how many turns. Raises TimeoutError."""
    turns = 0
    async with asyncio.timeout(within_s):
        while not condition():
            await a_turn()
            turns += 1
    return turns


async def a_turn() -> None:
    """Let everything that is ready run once."""
    await asyncio.sleep(0)
