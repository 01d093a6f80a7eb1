"""What asyncio tells a protocol of its transport: that it takes no more, as a future to wait for; and why it ended."""

from __future__ import annotations

import asyncio


class Draining(asyncio.Protocol):
    """`_drained` is there while the transport takes no more, and done when it takes some again."""

    __slots__ = ("_drained", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._drained: asyncio.Future[None] | None = None

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)


def why_lost(exc: Exception | None) -> str:
    """What connection_lost() was told, in words that hold nothing of the other side's."""
    return "the connection was lost" if exc is None else f"the connection was lost: {type(exc).__name__}"
