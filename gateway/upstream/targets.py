"""The targets of one upstream: their pools, who of them is in rotation and why, and which the next call goes to.

Sends nothing: gateway.upstream.client does, and tells what became of it.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from typing import Any

from gateway.api.errors import Cause, UpstreamError
from gateway.api.messages import Response, UpstreamRequest
from gateway.api.settings.upstream import HashBalance, UpstreamConfig
from gateway.upstream.balance import Balancer, LeastRequest, Rendezvous, RoundRobin
from gateway.upstream.health import Checks
from gateway.upstream.pool import Pool
from gateway.upstream.pool_settings import PoolSettings
from gateway.upstream.resolve import Resolver
from gateway.upstream.rotation import Rotation
from gateway.upstream.sweep import Sweep
from gateway.upstream.tcp.pool import MessagePool

log = logging.getLogger("sluicegate.upstream")

LATENCY_SHARE = 0.1  # of the newest answer in the moving average: about the last twenty count
# 501 and 505 are about the request (RFC 9110 §15.6.2, §15.6.6); HAProxy's `observe layer7` leaves them out too
_OF_THE_REQUEST = frozenset((501, 505))


class Targets:
    """Of one upstream. `only` is the one target where there is nothing to choose: that call costs nothing here."""

    def __init__(self, upstream: str, sweep: Sweep, rng: random.Random | None = None) -> None:
        self.upstream = upstream
        self.pools: dict[str, Pool] = {}
        self.only: Pool | None = None
        self._sweep = sweep
        self._time: Callable[[], float] = sweep.loop.time
        self._rotation = Rotation(None, 0.0)
        self._random = rng or random.Random()  # noqa: S311  # nothing secret is drawn
        self._ramping = False
        self._config: UpstreamConfig
        self._balancer: Balancer[Pool]
        self._checks = Checks(upstream, sweep, self._checked)

    def apply(self, config: UpstreamConfig, targets: Mapping[str, tuple[str, int, PoolSettings]]) -> None:
        """Live by another configuration: targets that stay keep connections and standing, those that go are retired."""
        pools: dict[str, Pool] = {}
        for url, (host, port, settings) in targets.items():
            pool = self.pools.get(url)
            if pool is None or pool.http2 is not settings.http2:
                resolver = Resolver(host, port, settings.dns_refresh_s)
                kind = Pool if settings.framing is None else MessagePool
                pool = kind(self.upstream, url, resolver, settings, self._sweep, self._failed)
            else:
                pool.reconfigure(settings)
            pools[url] = pool
        gone = [pool for url, pool in self.pools.items() if pools.get(url) is not pool]
        self.pools, self._config = pools, config
        standings = [pool.standing for pool in pools.values()]
        self._rotation.configure(config.outlier, config.slow_start, standings, self._time())
        self._checks.configure(config.health, targets)
        if config.health is None:
            for pool in pools.values():
                if not pool.standing.healthy:
                    self._rotation.checked(pool.standing, healthy=True, why="not checked any more", now=self._time())
        self._turn(list(pools.values()))
        for pool in gone:
            pool.close()

    def close(self) -> None:
        self._checks.close()
        for pool in self.pools.values():
            pool.close()

    def pick(self, request: UpstreamRequest, failed: tuple[Pool, ...] = ()) -> Pool | None:
        """The target for a call, by preference one that was not tried, can be reached and has a connection to give.

        `failed` are those that this call could not be connected to; None when there is no other.
        """
        now = self._time()
        if now >= self._rotation.review_at and self._rotation.review(now):
            self._turn(list(self.pools.values()))
        pick, key = self._balancer.pick, request.affinity
        if not failed and not request.tried and not self._ramping:
            found = pick(lambda pool: pool.available_at <= now and (key is not None or not pool.full), key)
            if found is not None:
                return found
        tried = request.tried or ()
        held = self._held(now) if self._ramping and key is None else ()
        return (
            pick(lambda p: _fits(p, now, failed, tried) and p not in held and (key is not None or not p.full), key)
            or pick(lambda p: _fits(p, now, failed, tried), key)
            or pick(lambda p: _fits(p, now, failed, tried[-1:]), key)
            or pick(lambda p: p not in failed, key)
            or self._last_resort(failed)
        )

    def instead(
        self, request: UpstreamRequest, failed: tuple[Pool, ...], error: UpstreamError, deadline: float
    ) -> Pool:
        """Another target, after the last of `failed` met `error` with nothing sent. Raises it when there is none to try."""
        over = error.cause is Cause.OVERLOAD or self._time() >= deadline
        other = None if over else self.pick(request, failed)
        if other is None:
            raise error
        return other

    def none_healthy(self) -> UpstreamError:
        return UpstreamError(Cause.OVERLOAD, "queue", sent=False, upstream=self.upstream, detail="no healthy target")

    def answered(self, pool: Pool, response: Response, seconds: float) -> None:
        """A call was answered after `seconds`. Only asked for where there are several targets."""
        status = response.status
        if status >= 500 and _blames_the_target(response):
            if self._rotation.failed(pool.standing, f"status {status}", self._time()):
                self._turn([pool])
            return
        if isinstance(response.body, bytes):  # a stream may still break off; its end is told to the pool
            self._rotation.succeeded(pool.standing)
        known = pool.latency_s
        pool.latency_s = known + (seconds - known) * LATENCY_SHARE if known else seconds

    def states(self) -> dict[str, dict[str, Any]]:
        """How each target stands, for ops; `why` holds nothing that an upstream sent."""
        now = self._time()
        return {url: self._state(pool, now) for url, pool in self.pools.items()}

    def _state(self, pool: Pool, now: float) -> dict[str, Any]:
        standing = pool.standing
        state = self._rotation.state(standing, now)
        found: dict[str, Any] = {"state": state, "why": standing.why, "called": not standing.out}
        if state == "in" and pool.available_at > now:
            found.update(state="unreachable", why=pool.trouble)
        if state == "ejected":
            found["back_in_s"] = round(max(0.0, standing.ejected_until - now), 1)
        if pool.idle_limit.learned_s is not None:
            found["closes_idle_after_s"] = round(pool.idle_limit.learned_s, 2)
        return found

    def _failed(self, pool: Pool, error: UpstreamError) -> None:
        if self._rotation.failed(pool.standing, f"{error.cause.value} at {error.stage}", self._time()):
            self._turn([pool])

    def _checked(self, url: str, *, healthy: bool, why: str) -> None:
        pool = self.pools.get(url)
        if pool is not None:
            self._rotation.checked(pool.standing, healthy=healthy, why=why, now=self._time())
            self._turn([pool])

    def _turn(self, changed: list[Pool]) -> None:
        """The rotation changed, on account of `changed`: choose among those that are in it now."""
        pools = list(self.pools.values())
        chosen = [pool for pool in pools if not pool.standing.out]
        balance = self._config.balance
        if isinstance(balance, HashBalance):
            self._balancer = Rendezvous(chosen, LeastRequest(chosen, self._random))
        else:
            self._balancer = RoundRobin(chosen) if balance == "round_robin" else LeastRequest(chosen, self._random)
        self.only = pools[0] if len(pools) == 1 and chosen else None
        now = self._time()
        self._ramping = self._rotation.ramping(now)
        for pool in changed:
            state = self._rotation.state(pool.standing, now)
            if state != pool.told:
                pool.told = state
                level = logging.INFO if state in ("in", "slow_start") else logging.WARNING
                log.log(level, "upstream %s: %s is %s: %s", self.upstream, pool.url, state, pool.standing.why)

    def _held(self, now: float) -> tuple[Pool, ...]:
        """Targets in slow start whose turn this call is not."""
        draw, seconds = self._random.random, self._rotation.slow_start_s
        return tuple(pool for pool in self.pools.values() if draw() >= pool.standing.share(now, seconds))

    def _last_resort(self, failed: tuple[Pool, ...]) -> Pool | None:
        """Better an ejected target than none; one that fails its checks is never asked."""
        left = [p for p in self.pools.values() if p.standing.out and p.standing.healthy and p not in failed]
        return min(left, key=lambda pool: pool.standing.ejected_until, default=None)


def _fits(pool: Pool, now: float, failed: tuple[Pool, ...], tried: list[str] | tuple[str, ...]) -> bool:
    return pool.available_at <= now and pool not in failed and pool.url not in tried


def _blames_the_target(response: Response) -> bool:
    """Whether a 5xx says something about who answered. A SOAP 1.1 fault comes with 500, whoever caused it (§6.2)."""
    if response.status != 500:
        return response.status not in _OF_THE_REQUEST
    return b"xml" not in (response.headers.get(b"content-type") or b"").lower()
