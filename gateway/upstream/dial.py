"""Opens a connection: addresses raced, TCP, then TLS. Says in which of them it failed; keeps nothing."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TypeVar

from gateway.api.errors import Cause, Stage, UpstreamError
from gateway.upstream.resolve import Address, Resolver

P = TypeVar("P", bound=asyncio.BaseProtocol)

ATTEMPT_DELAY_S = 0.25  # RFC 8305 §5: the Connection Attempt Delay that it recommends
LEAST_DELAY_S = 0.01  # §5: and its minimum, for when many addresses share a short bound


@dataclass(frozen=True, slots=True)
class Tls:
    """How TLS is spoken to one target."""

    context: ssl.SSLContext
    server_name: str


async def dial(
    upstream: str, resolver: Resolver, tls: Tls | None, timeout_s: float, first: int, make: Callable[[Address], P]
) -> P:
    """A connected protocol, of the address that connects first (RFC 8305), counted from the one numbered `first`.

    Where TLS fails the others are tried. Raises UpstreamError with stage resolve, connect or tls; nothing was sent then.
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
    left = in_turn(addresses, first)
    failure: UpstreamError | None = None
    while left:
        stage: Stage = "connect"
        part = end - loop.time()
        try:
            async with asyncio.timeout(part):
                address, connected = await _first_connected(loop, left, part)
            stage = "tls"
            async with asyncio.timeout((end - loop.time()) / (len(left) + 1)):
                _, protocol = await loop.create_connection(
                    functools.partial(make, address),
                    sock=connected,
                    ssl=tls.context if tls else None,
                    server_hostname=tls.server_name if tls else None,
                )
                return protocol
        except TimeoutError as problem:
            if failure is None or stage == "tls":
                failure = _failed(upstream, Cause.TIMEOUT, stage, "no answer in time")
                failure.__cause__ = problem
            if stage == "connect":
                break
        except OSError as problem:  # ssl.SSLError is one
            if failure is None or stage == "tls":  # how TLS failed tells more than that another does not listen
                failure = _failed(upstream, Cause.UNREACHABLE, stage, _why(problem))
                failure.__cause__ = problem
    raise failure or _failed(upstream, Cause.UNREACHABLE, "resolve", "the name has no address")


def in_turn(addresses: Sequence[Address], first: int) -> list[Address]:
    """Families by turns, beginning with that of the first address (RFC 8305 §4), each from its `first` address on."""
    families: dict[socket.AddressFamily, list[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    turned = [each[first % len(each) :] + each[: first % len(each)] for each in families.values()]
    return [address for address in chain(*zip_longest(*turned)) if address is not None]


async def _first_connected(
    loop: asyncio.AbstractEventLoop, left: list[Address], within_s: float
) -> tuple[Address, socket.socket]:
    """The address that connects first, with its socket. Takes it out of `left`, and those that failed.

    Another attempt begins when one failed, and while none did each ATTEMPT_DELAY_S. Raises OSError when all failed.
    """
    if len(left) == 1:
        address = left.pop()
        return address, await _connect(loop, address)
    delay = max(LEAST_DELAY_S, min(ATTEMPT_DELAY_S, within_s / len(left)))
    waiting = list(left)
    running: dict[asyncio.Task[socket.socket], Address] = {}
    failure: OSError = OSError("no address")
    try:
        while waiting or running:
            if waiting:
                address = waiting.pop(0)
                running[loop.create_task(_connect(loop, address))] = address
            done, _ = await asyncio.wait(
                running, timeout=delay if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                problem = task.exception()
                if problem is None:
                    left.remove(running[task])
                    return running.pop(task), task.result()
                left.remove(running.pop(task))
                if not isinstance(problem, OSError):
                    raise problem
                failure = problem
        raise failure
    finally:
        for task in running:  # an attempt that comes too late closes its socket
            task.cancel()
            task.add_done_callback(_close_late)


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


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
    if problem.errno is not None and problem.errno > 0:  # below are those of look-ups
        return os.strerror(problem.errno)  # its own text may name the address, in as many ways as there are loops
    return problem.strerror or type(problem).__name__
