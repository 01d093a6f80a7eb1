"""Where a codec's work is done: short messages on the event loop, long ones in a thread, and types are compiled in threads only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar, TypeVarTuple

from adapters.soap.codec.compiling import NotCompiled
from gateway.api.off_loop import off_loop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

OFFLOAD_BYTES: Final = 64 * 1024


async def worked(size: int, work: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """The result of `work` on a message of `size` octets. It may be begun twice, so until it ends it changes nothing."""
    if size < OFFLOAD_BYTES:
        try:
            return work(*arguments)
        except NotCompiled:
            pass
    return await off_loop(partial(work, *arguments))


def off_the_loop() -> bool:
    """Whether this thread runs no event loop: what takes long holds nobody up."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False
