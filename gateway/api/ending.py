"""A body whose end is told to whoever must know: how it ended, and that it ended at all. Changes nothing of it."""

from __future__ import annotations

from collections.abc import Callable

from gateway.api.exchange import Exchange
from gateway.api.messages import Body, Headers, Response

Ended = Callable[[BaseException | None, bool], object]
"""Told once: the fault that broke the body, or None; and whether it came to its end (False with None: nobody wants the rest)."""


class EndingBody(Body):
    """Passes pieces on, and tells its listeners when it ends, breaks or is given up. They must not raise."""

    __slots__ = ("_listeners", "_source", "length")

    def __init__(self, source: Body) -> None:
        self.length = source.length
        self._source = source
        self._listeners: list[Ended] = []

    @property
    def trailers(self) -> Headers | None:
        return self._source.trailers

    async def read(self) -> bytes:
        try:
            piece = await self._source.read()
        except BaseException as fault:
            self._tell(fault, complete=False)
            raise
        if not piece:
            self._tell(None, complete=True)
        return piece

    def close(self) -> None:
        self._source.close()
        self._tell(None, complete=False)

    def listen(self, ended: Ended) -> None:
        self._listeners.append(ended)

    def _tell(self, fault: BaseException | None, *, complete: bool) -> None:
        listeners, self._listeners = self._listeners, []
        for ended in listeners:
            ended(fault, complete)


def when_ended(exchange: Exchange, response: Response, ended: Ended) -> None:
    """Call `ended` when the body of `response` has ended, at the latest with the exchange; a whole one has ended already."""
    body = response.body
    if isinstance(body, bytes):
        ended(None, True)
        return
    if not isinstance(body, EndingBody):
        response.body = body = EndingBody(body)
        exchange.on_close(body.close)
    body.listen(ended)
