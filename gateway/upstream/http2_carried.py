"""What an HTTP/2 session carries, a call or a tunnel, as the session sees it; and what is the same in both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from gateway.api.errors import Cause
from gateway.upstream.answer import MAX_INTERIM
from gateway.upstream.wire import Violation

if TYPE_CHECKING:
    from gateway.upstream.http2 import Session


class Carried(ABC):
    """One stream. It raises Violation for what breaks its own rules only."""

    number: int  # of the stream; 0 when there is none
    _session: Session
    _open: bool  # our side of the stream
    _ended: bool  # the upstream's
    _paused: bool
    _unread: int  # octets of the window that were not acknowledged
    _interim: int

    @property
    @abstractmethod
    def sends(self) -> bool:
        """Something, or the end of our side, is to be sent."""

    @property
    def is_complete(self) -> bool:
        """The upstream's side has ended."""
        return self._ended

    @property
    def sends_more(self) -> bool:
        """Our side has not ended."""
        return self._open

    @abstractmethod
    def take(self, octets: int) -> tuple[bytes, bool] | None:
        """At most so many octets to send, and whether they are the last; None when the window is used up."""

    @abstractmethod
    def head(self, fields: list[tuple[bytes, bytes]]) -> None:
        """The final head."""

    def interim(self, fields: list[tuple[bytes, bytes]]) -> None:
        """A 1xx answer."""
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise Violation("too many interim answers")

    @abstractmethod
    def data(self, piece: bytes, octets: int) -> None:
        """`piece` took `octets` of the window."""

    @abstractmethod
    def trailers(self, fields: list[tuple[bytes, bytes]]) -> None:
        """The fields after the body."""

    @abstractmethod
    def ended(self) -> None:
        """The upstream's side ends here."""

    @abstractmethod
    def deliver(self) -> None:
        """Hand on what came in the last turn."""

    @abstractmethod
    def violate(self, rule: str) -> None:
        """It broke a rule of HTTP."""

    @abstractmethod
    def broken(self, cause: Cause, detail: str, *, reused: bool) -> None:
        """The stream or its connection ended. `reused`: an idle connection may have been closed in this very moment."""

    @abstractmethod
    def refused(self, detail: str) -> None:
        """The upstream has not processed it (RFC 9113 §8.7)."""

    def _hold(self) -> None:
        self._paused = True  # what is not acknowledged closes the upstream's window

    def _go_on(self) -> None:
        self._paused = False
        self._acknowledge()

    def _acknowledge(self) -> None:
        if self._unread:
            self._session.acknowledge(self.number, self._unread)
            self._unread = 0
