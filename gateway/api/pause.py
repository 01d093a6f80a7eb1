"""A wait inside a policy that ends when the caller leaves. Knows no policy."""

from __future__ import annotations

import asyncio
from typing import Protocol

from gateway.api.messages import Abort


class Caller(Protocol):
    """Who waits. An Exchange is one."""

    def on_slow(self, abort: Abort) -> None: ...


async def pause(caller: Caller, seconds: float) -> None:
    """Wait. Raises what ends the wait when the client leaves."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def end(error: Exception | None = None) -> None:
        if not over.done():
            if error is None:
                over.set_result(None)
            else:
                over.set_exception(error)

    timer = loop.call_later(seconds, end)
    caller.on_slow(end)
    try:
        await over
    finally:
        timer.cancel()
