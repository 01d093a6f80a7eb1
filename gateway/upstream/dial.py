"""Opens a connection: addresses in turn, TCP, then TLS. Says in which of them it failed; keeps nothing."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from gateway.api.errors import Cause, Stage, UpstreamError
from gateway.upstream.resolve import Address, Resolver

P = TypeVar("P", bound=asyncio.BaseProtocol)


@dataclass(frozen=True, slots=True)
class Tls:
    """How TLS is spoken to one target."""

    context: ssl.SSLContext
    server_name: str


async def dial(
    upstream: str, resolver: Resolver, tls: Tls | None, timeout_s: float, first: int, make: Callable[[Address], P]
) -> P:
    """A connected protocol. Tries all addresses, from the one numbered `first` on, each with its part of the time.

    Raises UpstreamError with stage resolve, connect or tls; nothing was sent then.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_s
    try:
        async with asyncio.timeout_at(end):
            addresses = await resolver.addresses(loop.time())
    except TimeoutError as problem:
        raise _failed(upstream, Cause.TIMEOUT, "resolve", "no answer in time") from problem
    except OSError as problem:
        raise _failed(upstream, Cause.UNREACHABLE, "resolve", _why(problem)) from problem
    failure: UpstreamError | None = None
    for number in range(len(addresses)):
        address = addresses[(first + number) % len(addresses)]
        part = (end - loop.time()) / (len(addresses) - number)
        connected: socket.socket | None = None
        try:
            async with asyncio.timeout(part):
                connected = await _connect(loop, address)
                _, protocol = await loop.create_connection(
                    functools.partial(make, address),
                    sock=connected,
                    ssl=tls.context if tls else None,
                    server_hostname=tls.server_name if tls else None,
                )
                return protocol
        except TimeoutError as problem:
            failure = _failed(upstream, Cause.TIMEOUT, "tls" if connected else "connect", "no answer in time")
            failure.__cause__ = problem
        except OSError as problem:  # ssl.SSLError is one
            failure = _failed(upstream, Cause.UNREACHABLE, "tls" if connected else "connect", _why(problem))
            failure.__cause__ = problem
    raise failure or _failed(upstream, Cause.UNREACHABLE, "resolve", "the name has no address")


async def _connect(loop: asyncio.AbstractEventLoop, address: Address) -> socket.socket:
    family, sockaddr = address
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # long silent streams behind a NAT
        await loop.sock_connect(opened, sockaddr)
    except BaseException:
        opened.close()
        raise
    return opened


def _failed(upstream: str, cause: Cause, stage: Stage, detail: str) -> UpstreamError:
    return UpstreamError(cause, stage, sent=False, upstream=upstream, detail=detail)


def _why(problem: OSError) -> str:
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {problem.verify_message}"
    if isinstance(problem, ssl.SSLError):
        return f"TLS: {problem.reason or 'failed'}"
    return problem.strerror or type(problem).__name__
