"""What a worker runs, as the runtime sees it: an ASGI callable that can be given configurations and told to drain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Protocol, TypeAlias

from gateway.runtime.delta import Delta

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class DataPlane(Protocol):
    """Everything that answers requests in one process. Made once, in the event loop that it serves from."""

    draining: bool
    """While true every answer carries `Connection: close`."""

    def spread_by(self, spread: Callable[[object], None]) -> None:
        """How orders of this process reach the other workers. Called before the first configuration, if there are others."""
        ...

    def app(self, listener: int) -> App:
        """The ASGI callable of the listener with this number in `listen`. A configuration must be live."""
        ...

    def close_websockets(self) -> bool:
        """Tell the callers of all WebSockets to come back to another gateway (1012). Returns whether none is left."""
        ...

    def in_flight(self) -> int:
        """Exchanges that have not ended, those included whose client is gone but whose outcome is awaited."""
        ...

    def unfinished(self) -> int:
        """What is still to be done for exchanges that have ended: changes that wait for a store."""
        ...

    async def prepare(self, delta: Delta) -> object:
        """Build what `delta` changes, in slices of at most 2 ms, touching nothing that serves. Raises when it cannot."""
        ...

    def commit(self, prepared: object) -> None:
        """Serve from now on what prepare() gave. Must not raise or wait."""
        ...

    def discard(self, prepared: object) -> None:
        """Free what prepare() gave; it will not be committed."""
        ...

    async def counters(self) -> object:
        """A picklable copy of what this process has counted so far, made in slices."""
        ...

    def dependencies(self) -> Mapping[str, bool]:
        """Whether each system beside the gateway that is in use here (`issuer:NAME`, `store:NAME`) can be used."""
        ...

    async def purge(self, request: object) -> object:
        """Carry out an order from the ops plane (gateway/api/orders.py); the answers of all that it concerned, picklable."""
        ...

    async def close(self) -> None:
        """Retire everything: pools, background work, stores. Nothing is in flight any more, or its time is up."""
        ...
