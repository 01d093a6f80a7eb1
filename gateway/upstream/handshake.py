"""Opens WebSockets: a target, a connection of its own, the handshake. Passes no messages."""

from __future__ import annotations

from functools import partial

from gateway.api.errors import RequestRefused, UpstreamError
from gateway.api.messages import Response, UpstreamRequest
from gateway.upstream.http2 import Session
from gateway.upstream.pool import Pool
from gateway.upstream.sweep import Sweep
from gateway.upstream.targets import Targets
from gateway.upstream.tunnel import open_tunnel
from gateway.upstream.upgrade import UpgradedSocket
from gateway.upstream.websocket import UpstreamSocket


async def open_websocket(
    upstream: str,
    targets: Targets,
    sweep: Sweep,
    request: UpstreamRequest,
    subprotocols: bytes | None,
    deadline: float,
) -> Response:
    """The answer of one of the targets; when it is 101 its body is an UpstreamSocket.

    `request` holds no field of the handshake. A target that cannot be connected to is passed over for another.
    Raises UpstreamError and RequestRefused.
    """
    now = sweep.loop.time
    pool = targets.only or targets.pick(request)
    if pool is None:
        raise targets.none_healthy()
    failed: tuple[Pool, ...] = ()
    while True:
        due = min(deadline, now() + pool.first_byte_s)
        try:
            socket = await _connected(upstream, pool, sweep, due)
        except UpstreamError as error:
            failed = (*failed, pool)
            pool = targets.instead(request, failed, error, deadline)
            continue
        pool.requests += 1
        if request.tried is not None:
            request.tried.append(pool.url)
        try:
            return await socket.ask(request, pool.host, subprotocols, due)
        except ValueError as problem:
            raise unwritable() from problem
        except UpstreamError as error:
            pool.failed(error)
            raise
        finally:
            if not socket.is_open:
                socket.close()


def unwritable() -> RequestRefused:
    return RequestRefused(
        400, "request.framing", "The request cannot be written as HTTP; check its path and header fields."
    )


async def _connected(upstream: str, pool: Pool, sweep: Sweep, due: float) -> UpstreamSocket:
    """Raises UpstreamError, nothing sent, and RequestRefused."""
    if not pool.http2:
        return await pool.dial_apart(partial(UpgradedSocket, upstream, sweep, pool.idle_body_s))
    session = await pool.dial_apart(partial(Session, sweep.loop, tls=None))
    try:
        return await open_tunnel(upstream, sweep, pool.idle_body_s, session, due)
    except UpstreamError as error:
        pool.failed(error)
        raise
