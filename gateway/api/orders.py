"""What operators ask of every worker at run time. An order reaches all lasting state; who it is not for says None."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from gateway.api.consumers import Consumer


@dataclass(frozen=True, slots=True)
class Revoke:
    """Believe these tokens no more: the one with this `jti`, or those that `subject` was issued until `at`."""

    issuer: str
    jti: str | None
    subject: str | None
    at: float  # Unix seconds
    until: float  # Unix seconds; the longest that any of these tokens lives

    def covers(self, issuer: str, claims: Mapping[str, Any]) -> bool:
        """Whether a token of these verified claims, from the issuer of that name, is one of them."""
        if issuer != self.issuer:
            return False
        if self.jti is not None:
            return claims.get("jti") == self.jti
        # a token that does not say when it was issued may be of any time
        return claims.get("sub") == self.subject and bool(claims.get("iat", self.at) <= self.at)


@dataclass(frozen=True, slots=True)
class LastUses:
    """When was each API key used last?"""


@dataclass(frozen=True, slots=True)
class Purge:
    """Forget stored answers: of one URL (as callers write it), below a prefix of URLs, or with a tag. One of them is given."""

    url: str | None = None
    prefix: str | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class ShowLimits:
    """How does this consumer stand with all limits? With `reset` they begin anew first."""

    consumer: Consumer
    reset: bool = False


@dataclass(frozen=True, slots=True)
class ReopenLogs:
    """Open the files of logs anew: whoever rotates them has moved them away."""


Answered = int | Mapping[bytes, float] | Sequence[Mapping[str, Any]]
"""How much was done, Unix seconds by the key's SHA-256, or standings."""


@runtime_checkable
class Ordered(Protocol):
    """Lasting state (Scope.state) that carries out orders."""

    def carry_out(self, order: object) -> Answered | Awaitable[Answered] | None:
        """Do it, and say how much was done; None: this order is not for it. What must wait for a store is awaited."""
        ...
