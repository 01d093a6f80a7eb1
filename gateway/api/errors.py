"""Faults, each saying whose it is. Refusals are not here: they are responses (problem.py).

A fault becomes a response in exactly one place, gateway/edge/faults.py.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

Stage = Literal["resolve", "connect", "tls", "queue", "write", "head", "body"]
"""How far an upstream call had come: looking up the name, connecting, the TLS handshake, waiting for a
free connection, sending the request, waiting for or reading the answer's head, reading its body."""


class Cause(Enum):
    """Why an upstream call failed; the words of `retry.on` and `breaker.count` are built on it."""

    UNREACHABLE = "connect"  # no address, refused, unreachable, TLS failed: nothing was sent
    RESET = "reset"  # the connection ended before the answer did
    TIMEOUT = "timeout"  # a bound was reached
    PROTOCOL = "protocol"  # the answer was not HTTP, or broke its framing
    OVERLOAD = "overload"  # no free connection in time, no healthy target


class GatewayFault(Exception):
    """Base of all faults that the edge turns into an answer."""


class UpstreamError(GatewayFault):
    """The upstream's fault.

    `sent=False` is a guarantee: no byte of the request left, so another try is safe even for POST.
    `detail` is for the log; it is never shown to the caller.
    """

    def __init__(self, cause: Cause, stage: Stage, *, sent: bool, upstream: str = "", detail: str = "") -> None:
        super().__init__(f"{upstream}: {cause.value} at {stage}: {detail}")
        self.cause = cause
        self.stage: Stage = stage
        self.sent = sent
        self.upstream = upstream
        self.detail = detail


def body_late(upstream: str) -> UpstreamError:
    """For whoever must have the whole of an answer by the call's deadline."""
    return UpstreamError(Cause.TIMEOUT, "body", sent=True, upstream=upstream, detail="its body did not end in time")


class BadReply(GatewayFault):
    """The upstream answered, but an adapter cannot make sense of it: 502. `where` names the element or field."""

    def __init__(self, detail: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {detail}" if where else detail)
        self.detail = detail
        self.where = where


class Unmappable(GatewayFault):
    """The caller's message does not fit what the adapter must write: 422.

    `pointer` is an RFC 6901 JSON pointer into the caller's body; `detail` holds no value of the caller's.
    """

    def __init__(self, detail: str, *, pointer: str = "") -> None:
        super().__init__(f"{pointer}: {detail}" if pointer else detail)
        self.detail = detail
        self.pointer = pointer


class RequestRefused(GatewayFault):
    """The caller's bytes are at fault and it showed only while they were read: 400, 408, 413."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail


class ClientGone(GatewayFault):
    """The caller went away; nobody waits for an answer."""


class StoreError(Exception):
    """A store did not do what it was asked; what the policy does then is its `on_store_error`.

    `asked=False` is a guarantee: it was not done, and will not be. Else only the reply may have been lost.
    """

    def __init__(self, detail: str, *, asked: bool = True) -> None:
        super().__init__(detail)
        self.asked = asked


class UnfitStoreError(Exception):
    """A store must not be used for what the configuration wants it for; the message names it and says what to change."""
