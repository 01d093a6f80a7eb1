"""Which client calls an upstream: its targets say it. Calls nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from gateway.api.settings.upstream import UpstreamConfig
from gateway.upstream.client import Upstream
from gateway.upstream.credentials import Recipient
from gateway.upstream.drop.client import DropUpstream
from gateway.upstream.tcp.client import MessageUpstream


class Client(Recipient, Protocol):
    """The client of one upstream. Made, used and closed in one event loop; outlives configurations."""

    def prepare(self, config: UpstreamConfig, *, workers: int | None = None) -> Any:
        """What apply() needs; nothing has changed yet. Raises OSError and ValueError."""
        ...

    def apply(self, prepared: Any) -> None:
        """Live by another configuration."""
        ...

    def close(self) -> None: ...
    def statistics(self) -> dict[str, dict[str, int]]: ...
    def states(self) -> dict[str, dict[str, Any]]: ...


_KINDS: dict[str, Callable[..., Client]] = {"http": Upstream, "tcp": MessageUpstream, "file": DropUpstream}


def kind_of(config: UpstreamConfig) -> Callable[..., Client]:
    """Its class."""
    return _KINDS[config.kind]
