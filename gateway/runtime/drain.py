"""How one process lets go of its callers, in an order that loses no request. Knows neither processes nor signals."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from gateway.runtime.listeners import Listener
from gateway.runtime.plane import DataPlane
from gateway.runtime.servers import DataServer

log = logging.getLogger("sluicegate.runtime")

CLOSING_S = 1.0  # how long callers of WebSockets may take to be told
SETTLE_S = 0.25  # how long a connection that was just accepted may take to send its first request
POLL_S = 0.01


async def empty(listeners: Sequence[Listener], timeout_s: float = 1.0) -> None:
    """Let no new connection come, and those that are made be accepted by whoever still accepts."""
    for listener in listeners:
        listener.refuse_new()
    await wait_until(lambda: not any(listener.queued() for listener in listeners), timeout_s)


async def let_go(
    plane: DataPlane,
    servers: Sequence[DataServer],
    timeout_s: float,
    *,
    linger_s: float = SETTLE_S,
    listeners: Sequence[Listener] = (),
) -> bool:
    """End what `servers` serve. Returns whether everything ended in time.

    1. Nobody accepts any more here, and this process closes its `listeners`: who is queued there is served by others.
    2. For `linger_s` every answer says `Connection: close`; connections just accepted send their first request.
    3. WebSockets are closed with 1012, idle connections close, requests in flight end.
    4. So do exchanges whose caller is gone but whose outcome somebody will ask for.
    5. What these left to be done is done: outcomes that wait for a store are written down.
    """
    plane.draining = True
    for server in servers:
        server.stop_accepting()
    for listener in listeners:
        listener.sock.close()
    loop = asyncio.get_running_loop()
    await asyncio.sleep(max(linger_s, min(SETTLE_S, timeout_s)))
    until = loop.time() + timeout_s
    await wait_until(plane.close_websockets, min(CLOSING_S, timeout_s))
    ended = await asyncio.gather(*(server.stop(timeout_s) for server in servers))
    quiet = await wait_until(lambda: plane.in_flight() == 0, until - loop.time())
    if not (all(ended) and quiet):
        log.warning("drain.timeout passed: calls that had not ended are cut off")
    if not await wait_until(lambda: plane.unfinished() == 0, until - loop.time()):
        log.warning("drain.timeout passed: %d changes that wait for a store are lost", plane.unfinished())
    return all(ended) and quiet


async def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Look every few milliseconds until `condition` holds; for endings only, where nothing wakes us."""
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_s
    while not condition():
        if loop.time() >= until:
            return False
        await asyncio.sleep(POLL_S)
    return True
