"""Work that would hold the event loop, done in a thread. Knows no adapter and no policy."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SWITCH_S = 0.0005
"""How long a thread keeps the interpreter while another waits for it, for as long as any works here.

By default it is 5 ms, and a request asks for the interpreter several times. With 0.5 ms, requests beside answers of 1 MB of
XML take 12 ms at the 99th percentile, against 4 alone, and none waits longer than alone (loadtests/soap.py).
"""

_usual_s = sys.getswitchinterval()
_working = 0  # changed by threads that run an event loop only, under the interpreter's lock


async def off_loop(work: Callable[[], T]) -> T:
    """Run `work` in a thread, in which it gives way to the event loop every half millisecond."""
    global _working  # noqa: PLW0603 - the interval is the process's, so is the count
    _working += 1
    sys.setswitchinterval(SWITCH_S)
    try:
        return await asyncio.to_thread(work)
    finally:
        _working -= 1
        if not _working:
            sys.setswitchinterval(_usual_s)
