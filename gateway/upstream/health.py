"""Active health checks: asks each target on its own connection, and says when one comes to be healthy or ceases to be.

Each worker asks for itself: its verdict is about what it can reach, and needs nobody to pass it on.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.api.errors import UpstreamError
from gateway.api.messages import Headers, UpstreamRequest
from gateway.api.settings.upstream import Health
from gateway.upstream.connection import Connection
from gateway.upstream.dial import dial
from gateway.upstream.http2_sessions import Sessions
from gateway.upstream.pool_settings import PoolSettings
from gateway.upstream.resolve import Resolver
from gateway.upstream.sweep import Sweep
from gateway.upstream.wire import write_head

log = logging.getLogger("sluicegate.upstream")

JITTER = 0.1  # of the interval, both ways: workers and gateways do not ask all at once


class Row:
    """Counts results in a row. Pure. A target is healthy until its checks say otherwise."""

    def __init__(self) -> None:
        self.healthy = True
        self._against = 0  # results in a row that speak against the verdict

    def judge(self, passed: bool, config: Health) -> bool:
        """Take in one result; whether the verdict changed."""
        if passed == self.healthy:
            self._against = 0
            return False
        self._against += 1
        if self._against < (config.healthy if passed else config.unhealthy):
            return False
        self.healthy, self._against = passed, 0
        return True


class Verdict(Protocol):
    def __call__(self, url: str, *, healthy: bool, why: str) -> None: ...


@dataclass(frozen=True, slots=True)
class _Checked:
    """One target, and how it is asked."""

    url: str
    host: str
    port: int
    settings: PoolSettings
    config: Health


class Checks:
    """The checks of one upstream. Made, used and closed in one event loop."""

    def __init__(self, upstream: str, sweep: Sweep, verdict: Verdict) -> None:
        self.upstream = upstream
        self.sweep = sweep
        self.host: bytes | None = None  # each check names its own
        self.first_byte_s = self.idle_body_s = 0.0
        self._verdict = verdict
        self._rows: dict[str, Row] = {}
        self._running: dict[str, tuple[_Checked, asyncio.Task[None]]] = {}

    def configure(self, config: Health | None, targets: Mapping[str, tuple[str, int, PoolSettings]]) -> None:
        """Check these, and no others; what is known of those that stay is kept."""
        wanted: dict[str, _Checked] = {}
        if config is not None:
            self.first_byte_s = self.idle_body_s = config.timeout
            for url, (host, port, settings) in targets.items():
                wanted[url] = _Checked(url, host, config.port or port, settings, config)
        self._rows = {url: row for url, row in self._rows.items() if url in wanted}
        for url in [url for url, (checked, _) in self._running.items() if wanted.get(url) != checked]:
            self._running.pop(url)[1].cancel()
        for url, checked in wanted.items():
            if url not in self._running:
                row = self._rows.setdefault(url, Row())
                task = self.sweep.loop.create_task(self._watch(checked, row), name=f"health of {url}")
                self._running[url] = (checked, task)

    def close(self) -> None:
        self.configure(None, {})

    async def _watch(self, target: _Checked, row: Row) -> None:
        config = target.config
        resolver = Resolver(target.host, target.port, target.settings.dns_refresh_s)
        draw = random.Random()  # noqa: S311  # spreads load
        while True:
            fault = await self._ask(target, resolver)
            if row.judge(fault is None, config):
                results = config.healthy if row.healthy else config.unhealthy
                why = f"{results} checks in a row {'passed' if fault is None else 'failed, the last: ' + fault}"
                self._verdict(target.url, healthy=row.healthy, why=why)
            await asyncio.sleep(config.interval * draw.uniform(1 - JITTER, 1 + JITTER))

    async def _ask(self, target: _Checked, resolver: Resolver) -> str | None:
        """None when the check passed, else what was wrong, in our words."""
        config, tls = target.config, None if target.config.tcp else target.settings.tls
        deadline = self.sweep.loop.time() + config.timeout
        connection: Connection | None = None
        sessions = Sessions(self.upstream, resolver, self)
        try:
            if target.settings.http2 and not config.tcp:
                connection = await sessions.open(1, tls, config.timeout, 0)
            else:
                connection = await dial(
                    self.upstream, resolver, tls, config.timeout, 0, lambda at: Connection(self, at)
                )
            if config.tcp:
                return None
            status = await self._status(connection, target, deadline)
        except UpstreamError as error:
            return f"{error.cause.value} at {error.stage}: {error.detail}"
        finally:
            if connection is not None:
                connection.abort()
            sessions.close()
        least, _, most = config.expect.partition("-")
        return None if int(least) <= status <= int(most or least) else f"status {status}"

    async def _status(self, connection: Connection, target: _Checked, deadline: float) -> int:
        host = target.settings.host or target.host.encode("idna")
        fields = Headers([(b"host", host), (b"user-agent", b"sluicegate-health")])
        request = UpstreamRequest("GET", target.config.path.encode("ascii"), fields)
        message = b""
        if not target.settings.http2:
            fields.add(b"connection", b"close")
            message = write_head(request.method, request.target, host, fields)
        response = await connection.call(request, message, self.sweep.loop.time(), deadline)
        if not isinstance(response.body, bytes):
            response.body.close()
        return response.status

    # what a connection asks of its home: none of these is used again, and no call's failure is counted here

    def release(self, connection: Connection) -> None:
        connection.abort()

    def lost(self, connection: Connection) -> None:
        """It was used for one check."""

    def streamed(self, status: int) -> None:
        """The check was over with its head."""

    def failed(self, error: UpstreamError) -> None:
        """The answer's body broke off; the check is about its status."""

    def announced(self, seconds: float) -> None:
        """It is not kept."""

    def closed_idle(self, connection: Connection) -> None:
        """It never waits."""
