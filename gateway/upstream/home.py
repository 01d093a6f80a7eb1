"""The pool that a connection belongs to, as the connection sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.api.errors import UpstreamError
from gateway.upstream.sweep import Sweep

if TYPE_CHECKING:
    from gateway.upstream.connection import Connection


class Home(Protocol):
    """What it is told, and what it has set."""

    upstream: str
    sweep: Sweep
    first_byte_s: float
    idle_body_s: float

    def release(self, connection: Connection) -> None:
        """Ready for another call."""

    def lost(self, connection: Connection) -> None:
        """Ended; told exactly once."""

    def streamed(self, status: int) -> None:
        """An answer that did not come in one piece came to its end."""

    def failed(self, error: UpstreamError) -> None:
        """An answer broke off after its head: who called had its answer already."""

    def announced(self, seconds: float) -> None:
        """An answer said for how long the upstream keeps an idle connection."""

    def closed_idle(self, connection: Connection) -> None:
        """The upstream closed it while it was idle."""
