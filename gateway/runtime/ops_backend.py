"""What the ops plane may ask of a running gateway. Knows nothing of HTTP; gateway.ops turns it into answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.api.orders import Revoke
from gateway.compile.finding import Finding
from gateway.compile.plan import Plan
from gateway.runtime.reload import Outcome


@dataclass(frozen=True, slots=True)
class Status:
    """How a gateway is."""

    version: str  # of the configuration that is served
    applied_at: float  # Unix seconds
    started_at: float
    draining: bool
    workers_alive: int
    workers_wanted: int
    workers_replaced: int  # since the start
    listeners: Sequence[str]  # as URLs
    last_reload: Outcome

    @property
    def ready(self) -> bool:
        """A configuration is live in at least one worker, and the gateway is not ending."""
        return self.workers_alive > 0 and not self.draining


class OpsBackend(Protocol):
    """Implemented by the supervisor, and by the gateway in one process."""

    def status(self) -> Status: ...

    def plan(self) -> Plan:
        """The running configuration."""
        ...

    def findings(self) -> Sequence[Finding]:
        """What was found in the running configuration: warnings."""
        ...

    def configuration(self) -> Mapping[str, Any]:
        """The running configuration as it is written, without its secrets. May be called from another thread."""
        ...

    async def reload(self) -> Outcome:
        """Read the files again; returns when every worker has applied them, or nothing changed."""
        ...

    async def counters(self) -> list[object]:
        """What DataPlane.counters() gives, of every worker that answers."""
        ...

    async def dependencies(self) -> list[Mapping[str, bool]]:
        """What DataPlane.dependencies() gives, of every worker that answers."""
        ...

    async def remember(self, order: Revoke) -> bool:
        """Tell workers that start later; returns whether the revocation also outlives a restart."""
        ...

    async def purge(self, request: object) -> list[object]:
        """Let every worker carry out DataPlane.purge(request)."""
        ...
