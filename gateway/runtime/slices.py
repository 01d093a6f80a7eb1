"""Long work between requests, a millisecond at a time. Knows no work."""

from __future__ import annotations

import asyncio
import time

SLICE_S = 0.001  # work between two turns of the event loop while a configuration is prepared


class Slices:
    """Gives way to the event loop whenever a slice of work is over."""

    def __init__(self) -> None:
        self._clock = time.monotonic  # the loop's own clock has whole milliseconds under uvloop
        self._until = self._clock() + SLICE_S

    async def breathe(self) -> None:
        if self._clock() >= self._until:
            await asyncio.sleep(0)
            self._until = self._clock() + SLICE_S
