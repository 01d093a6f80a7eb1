"""The connections to one tcp:// or tls:// target: those of one call at a time, and those that calls share."""

from __future__ import annotations

from functools import cached_property

from gateway.upstream.connection import Connection
from gateway.upstream.pool import Pool
from gateway.upstream.pool_settings import PoolSettings
from gateway.upstream.resolve import Address
from gateway.upstream.tcp.connection import MessageConnection
from gateway.upstream.tcp.framing import Frames
from gateway.upstream.tcp.shared import Shared


class MessagePool(Pool):
    """A pool whose connections carry messages."""

    @cached_property
    def shared(self) -> Shared:
        return Shared(self)

    def reconfigure(self, settings: PoolSettings) -> None:
        other = settings.framing != self._settings.framing or settings.tls != self._settings.tls
        if settings.framing != self._settings.framing:
            self._retire(list(self._all))
        super().reconfigure(settings)
        if other:
            self.shared.retire()

    def _apply(self, settings: PoolSettings) -> None:
        super()._apply(settings)
        assert settings.framing is not None, "the configuration asks for it with tcp:// targets"
        self.frames = Frames(settings.framing)

    @property
    def load(self) -> int:
        return super().load + self.shared.calls

    @property
    def most(self) -> int:
        return self._settings.connections

    def statistics(self) -> dict[str, int]:
        figures = super().statistics()
        figures["open"] += self.shared.connections
        return figures

    def close(self) -> None:
        super().close()
        self.shared.retire()

    def _connection(self, address: Address) -> Connection:
        return MessageConnection(self, address, self.frames)
