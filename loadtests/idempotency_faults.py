"""Owners that are stopped, replies that are lost, a Redis that dies, hangs, is full or fails over: was anything executed twice?

Each scene has its own gateways, store and upstream, and returns what it saw. tests/wire/test_idempotency_faults.py plays them in short.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from idempotency_gateways import LEASE_S, TOTAL_S, Gateway, Redis, configured
from idempotency_relay import Relay
from idempotency_world import Upstream, Watched, answering, post

ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")


@dataclass
class Seen:
    scene: str
    store: str
    keys: int
    twice: int
    differing: int
    ends: Counter[str]
    control: bool = False  # a setting that is known to lose records: shows that the scene would tell

    @property
    def good(self) -> bool:
        return self.control or (
            not self.twice and not self.differing and set(self.ends) <= {"its answer", "idempotency.outcome-unknown"}
        )


class Scene:
    """Two gateways that share a store, callers on both, and something that goes wrong meanwhile."""

    def __init__(
        self,
        folder: Path,
        store: str,
        redis: Redis | None = None,
        relay: Relay | None = None,
        *,
        lease_s: float = LEASE_S,
        total_s: float = TOTAL_S,
        goes_on_s: float = 1.5,
    ) -> None:
        """`relay`: stands between the gateways and Redis, when `store` is its address. `goes_on_s`: after each trouble."""
        self.folder = folder
        self.store = store
        self.redis = redis
        self.relay = relay
        self.lease_s = lease_s
        self.total_s = total_s
        self.goes_on_s = goes_on_s
        self.upstream = Upstream()
        self.watched = Watched()
        self.gateways: list[Gateway] = []

    async def play(self, name: str, trouble: Callable[[Scene], Awaitable[None]], callers: int = 6) -> Seen:
        numbers = count()
        ending = False

        async def caller() -> None:
            while not ending:
                number = next(numbers)
                await self.watched.call(self.gateways[number % 2].port, "hold", f"k-{number}")

        try:
            async with self.upstream:
                for number in range(2):
                    gateway = configured(
                        self.folder,
                        number,
                        self.upstream.port,
                        self.store,
                        beside=self.gateways[0] if number else None,
                        lease_s=self.lease_s,
                        total_s=self.total_s,
                    )
                    self.gateways.append(gateway)
                    gateway.start()
                await answering(self.gateways)
                load = [asyncio.ensure_future(caller()) for _ in range(callers)]
                await asyncio.sleep(0.5)
                await trouble(self)
                await asyncio.sleep(0.5)
                ending = True
                await asyncio.gather(*load)
                await asyncio.sleep(self.lease_s + 0.5)
                ends = await self.watched.ends(self.gateways[0].port, "hold")
                twice = sum(times > 1 for times in self.upstream.executed.values())
                store = self.store.partition(":")[0]
                return Seen(name, store, len(self.watched.asked), twice, self.watched.differing, ends)
        finally:
            for gateway in reversed(self.gateways):
                gateway.end()


async def stopped_owner(scene: Scene, times: int = 2) -> None:
    """SIGSTOP past the lease, while calls of its are in every stage; then SIGCONT. The other gateway is asked meanwhile."""
    owner, other = scene.gateways
    for _ in range(times):
        owner.signal(signal.SIGSTOP)
        pending = [key for route, key in scene.watched.asked[-40:]]

        async def ask(key: str) -> None:
            # one that was stopped in the middle of a transaction of SQLite holds up the other until it goes on
            answer = await post(other.port, "hold", key, within_s=1)
            if answer is not None:
                scene.watched.heard("hold", key, answer)

        until = time.monotonic() + scene.lease_s + 1
        while time.monotonic() < until:
            await asyncio.gather(*map(ask, pending))
            await asyncio.sleep(0.2)
        owner.signal(signal.SIGCONT)
        await asyncio.sleep(0.5)


async def lost_replies(scene: Scene, times: int = 20) -> None:
    """Connections to the store are cut when it has done what it was asked and before its reply is passed on."""
    assert scene.relay is not None, "behind a relay"
    for _ in range(times):
        await asyncio.sleep(0.15)
        scene.relay.cut_after_next = True
    await asyncio.sleep(scene.goes_on_s)


async def killed_redis(scene: Scene, times: int = 3) -> None:
    """kill -9 of Redis, with `appendfsync always`, and its restart."""
    assert scene.redis is not None, "with Redis"
    for _ in range(times):
        scene.redis.kill()
        await asyncio.sleep(0.7)
        scene.redis.start()
        await asyncio.sleep(scene.goes_on_s)


async def paused_redis(scene: Scene, pauses_s: Sequence[float] = (0.5, 2.0, LEASE_S + 1.0)) -> None:
    """SIGSTOP of Redis for longer than its timeout, then SIGCONT: it does late what it was asked."""
    assert scene.redis is not None, "with Redis"
    for pause_s in pauses_s:
        scene.redis.signal(signal.SIGSTOP)
        await asyncio.sleep(pause_s)
        scene.redis.signal(signal.SIGCONT)
        await asyncio.sleep(scene.goes_on_s)


async def full_redis(scene: Scene, times: int = 2) -> None:
    """Out of memory: writes are refused, so nothing is sent; then there is room again."""
    assert scene.redis is not None, "with Redis"
    for _ in range(times):
        scene.redis.ask("CONFIG", "SET", "maxmemory", "1")
        await asyncio.sleep(scene.goes_on_s)
        scene.redis.ask("CONFIG", "SET", "maxmemory", "0")
        await asyncio.sleep(scene.goes_on_s)


async def faults(folder: Path) -> list[Seen]:
    found = []
    for name, store in (("owner stopped past its lease", "sqlite"), ("owner stopped past its lease", "redis")):
        redis = None if store == "sqlite" else _redis(folder / f"stopped-{store}")
        url = "sqlite" if redis is None else _url(redis.port)
        found.append(await _played(folder / f"scene-{len(found)}", url, redis, name, stopped_owner))
    for name, trouble in (
        ("Redis killed and restarted", killed_redis),
        ("Redis paused", paused_redis),
        ("Redis out of memory", full_redis),
    ):
        redis = _redis(folder / f"redis-{len(found)}")
        found.append(await _played(folder / f"scene-{len(found)}", _url(redis.port), redis, name, trouble))
    redis = _redis(folder / f"redis-{len(found)}")
    relay = Relay()
    await relay.open(redis.port)
    found.append(await _played(folder / f"scene-{len(found)}", _url(relay.port), redis, "", lost_replies, relay))
    found[-1].scene = f"replies of Redis lost, {relay.cuts} times"
    await relay.close()
    for acks in (1, 0):
        found.append(await failed_over(folder / f"scene-{len(found)}", acks))
    redis = Redis(folder / f"redis-{len(found)}", ())
    redis.start()
    name = "Redis killed and restarted, without a journal"
    found.append(await _played(folder / f"scene-{len(found)}", _url(redis.port), redis, name, killed_redis))
    found[-1].control = True
    return found


def _redis(folder: Path, program: str = "redis-server") -> Redis:
    redis = Redis(folder, ALWAYS, program=program)
    redis.start()
    return redis


def _url(port: int, acks: int = 0) -> str:
    return f"redis://127.0.0.1:{port}/0?acks={acks}"


async def _played(
    folder: Path,
    url: str,
    redis: Redis | None,
    name: str,
    trouble: Callable[[Scene], Awaitable[None]],
    relay: Relay | None = None,
) -> Seen:
    try:
        return await Scene(folder, url, redis, relay).play(name, trouble)
    finally:
        if redis is not None:
            redis.kill()


async def failed_over(
    folder: Path,
    acks: int,
    *,
    program: str = "redis-server",
    lease_s: float = LEASE_S,
    total_s: float = TOTAL_S,
    after_s: float = 4,
) -> Seen:
    """The master loses touch with its replica, is killed for good a second later, and the replica takes its place."""
    master, replica = _redis(folder / "master", program), _redis(folder / "replica", program)
    relay, between = Relay(), Relay()
    await relay.open(master.port)
    await between.open(master.port)
    replica.ask("REPLICAOF", "127.0.0.1", str(between.port))
    while "master_link_status:up" not in await asyncio.to_thread(replica.ask, "INFO", "replication"):
        await asyncio.sleep(0.1)
    replica_of_replica = _redis(folder / "second", program)  # the new master needs somebody who acknowledges, too
    replica_of_replica.ask("REPLICAOF", "127.0.0.1", str(replica.port))

    async def fail_over(scene: Scene) -> None:
        between.silent = True
        await asyncio.sleep(1)
        master.kill()
        await asyncio.sleep(0.3)
        replica.ask("REPLICAOF", "NO", "ONE")
        relay.to = replica.port
        async with asyncio.timeout(30):  # nothing counts before somebody acknowledges
            while "state=online" not in await asyncio.to_thread(replica.ask, "INFO", "replication"):
                await asyncio.sleep(0.1)
        await asyncio.sleep(after_s)

    try:
        name = f"Redis failed over to a replica that was behind, acks={acks}"
        scene = Scene(folder, _url(relay.port, acks), lease_s=lease_s, total_s=total_s)
        seen = await scene.play(name, fail_over)
        seen.control = acks == 0
        return seen
    finally:
        await relay.close()
        await between.close()
        for each in (master, replica, replica_of_replica):
            each.kill()


def table(found: list[Seen]) -> str:
    lines = ["| what happens | store | keys | executed twice | two answers | ended as |", "|---|---|---|---|---|---|"]
    for one in found:
        ends = ", ".join(f"{name}: {times}" for name, times in sorted(one.ends.items()))
        name = f"{one.scene} (control)" if one.control else one.scene
        lines.append(f"| {name} | {one.store} | {one.keys} | {one.twice} | {one.differing} | {ends} |")
    note = "control: a setting that loses records, as docs/stores.md says; it shows that the scene would tell."
    return "\n".join([*lines, "", note])
