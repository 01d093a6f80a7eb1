"""A store on a Redis Cluster: each key at the master that holds its slot, found again when slots move or masters fall.

Available while every slot has a master that answers. Operations on the others succeed meanwhile: whoever asks learns it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from gateway.api.errors import StoreError
from gateway.api.standing import Standing
from gateway.stores.redis.address import Address
from gateway.stores.redis.greeting import context_of
from gateway.stores.redis.heartbeat import Heartbeat
from gateway.stores.redis.inquiry import Place, slots_of
from gateway.stores.redis.link import Call, Link
from gateway.stores.redis.scripts import Scripts
from gateway.stores.redis.server import Server
from gateway.stores.redis.slots import SLOTS, key_in, slot_of
from gateway.stores.redis.store import RedisStore

log = logging.getLogger("sluicegate.store")

LOOK_AGAIN_S = 0.5  # while a slot has no master that answers
SPACED_S = 0.1  # between two looks while slots move
MOST_HOPS = 3  # of one call, while slots move


class ClusterStore(RedisStore):
    """Keys of one owner and policy lie together (gateway/stores/keys.py)."""

    def __init__(
        self, address: Address, *, name: str, process: str, lasting: bool = False, scripts: Scripts | None = None
    ) -> None:
        """As SingleStore."""
        super().__init__(address.prefix, scripts or Scripts())
        self._address = address
        self._context = None if address.tls is None else context_of(address.tls)
        self._name = name
        self._process = process
        self._lasting = lasting
        self._servers: dict[Place, Server] = {}  # the masters
        self._masters: list[Server | None] = [None] * SLOTS
        self._present = f"{address.prefix}{{processes}}"
        self._heartbeat = Heartbeat(self._present, process, self._scripts, self._standing)
        self._finding: asyncio.Task[None] | None = None
        self._first = asyncio.Event()  # the first look has ended, well or not
        self._look = asyncio.Event()  # look now
        self._looked = asyncio.Condition()
        self._tasks: set[asyncio.Task[Any]] = set()

    def _at_hand(self, keys: Sequence[str]) -> Link | None:
        master = self._masters[slot_of(keys[0])]
        return None if master is None else master.link

    async def _reach(self, keys: Sequence[str]) -> Link:
        await self.settled()
        link = self._at_hand(keys)
        if link is None:
            self._look.set()
            raise StoreError(f"away: {self._standing.reason}", asked=False)
        return link

    def together(self, full_keys: Sequence[str]) -> bool:
        return len({slot_of(key) for key in full_keys}) < 2

    async def settled(self) -> None:
        if self._finding is None:
            self._finding = asyncio.get_running_loop().create_task(self._find(), name=f"store {self._name}")
        await self._first.wait()

    async def close(self) -> None:
        finding, self._finding = self._finding, None
        if finding is None:
            return
        tasks = {finding, *self._tasks}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        if (link := self._at_hand((self._present,))) is not None:
            await self._heartbeat.leave(link)
        await asyncio.gather(*(server.close() for server in self._servers.values()))
        self._servers.clear()
        self._masters = [None] * SLOTS

    # who holds what

    async def _find(self) -> None:
        """Look, and look again whenever somebody says that it has changed; and tell that we live."""
        while True:
            self._look.clear()
            try:
                # those that answer first; then the others, and those of the configuration
                known = sorted(self._servers, key=lambda place: self._servers[place].link is None)
                await self._place(await slots_of([*known, *self._address.hosts], self._address, self._context))
            except StoreError as problem:
                if self._standing.gone(str(problem)) or not self._first.is_set():
                    log.warning("store %s is away: %s", self._name, problem)
            self._first.set()
            async with self._looked:
                self._looked.notify_all()
            await self._beat()
            await asyncio.sleep(SPACED_S if self._standing.available else LOOK_AGAIN_S)
            while self._standing.available and not self._look.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._heartbeat.every_s):
                        await self._look.wait()
                await self._beat()

    async def _beat(self) -> None:
        link = self._at_hand((self._present,))
        if link is not None:
            with contextlib.suppress(StoreError):  # its server notices by itself
                await self._heartbeat.beat(link)

    async def _place(self, found: list[tuple[range, Place]]) -> None:
        """Use each master for its slots from now on; new ones are met before."""
        widest: dict[Place, range] = {}
        for slots, place in found:
            if len(slots) > len(widest.get(place, ())):
                widest[place] = slots
        servers = {place: self._servers.get(place) or self._server(place, slots) for place, slots in widest.items()}
        await asyncio.gather(*(server.settled() for server in servers.values()))
        masters: list[Server | None] = [None] * SLOTS
        for slots, place in found:
            masters[slots.start : slots.stop] = [servers[place]] * len(slots)
        gone = [server for place, server in self._servers.items() if servers.get(place) is not server]
        self._masters, self._servers = masters, servers
        self._changed(False)
        await asyncio.gather(*(server.close() for server in gone))

    def _server(self, place: Place, slots: range) -> Server:
        async def locate() -> Place:
            return place

        standing = Standing(available=False, own=False)
        standing.follow(self._changed)
        return Server(
            locate,
            self._address,
            self._context,
            # in one of its own slots: a heartbeat is a write, and shows that this server takes them
            Heartbeat(key_in(slots, f"{self._prefix}probe"), self._process, self._scripts, standing),
            standing,
            f"{self._name}, {place[0]}:{place[1]}",
            lasting=self._lasting,
            redirect=self._redirected,
        )

    def _changed(self, _: bool) -> None:
        """A server went away or came back, or slots moved: the store stands as the worst of its servers."""
        standings = [server.standing for server in self._servers.values()]
        lasting = [each.durability for each in standings if each.durability is not None]
        self._standing.durability = next((each for each in lasting if each.evicts), lasting[0] if lasting else None)
        reasons = [each.reason for each in standings if not each.available]
        if uncovered := self._masters.count(None):
            reasons.append(f"{uncovered} slots have no master")
        if reasons:
            self._look.set()
            self._standing.gone(reasons[0])
        elif self._standing.back() and self._first.is_set():
            log.warning("store %s is back: every slot has a master that answers", self._name)

    # slots on the move: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#redirection-and-resharding

    def _redirected(self, call: Call, error: str) -> bool:
        """MOVED: the slot has another master from now on. ASK: this one key has gone ahead."""
        kind, _, rest = error.partition(" ")
        if kind not in ("MOVED", "ASK") or call.hops >= MOST_HOPS:
            return False
        number, _, text = rest.partition(" ")
        host, colon, port = text.rpartition(":")
        if not (number.isdecimal() and colon and port.isdecimal()):
            return False
        slot = int(number) % SLOTS
        call.hops += 1
        if kind == "MOVED":
            self._look.set()
        self._spawn(self._forward(call, slot, (host, int(port)), asking=kind == "ASK"))
        return True

    async def _forward(self, call: Call, slot: int, place: Place, *, asking: bool) -> None:
        """Ask at `place`; when nobody knows it yet, once the next look has ended."""
        try:
            async with asyncio.timeout(self._address.wait_s(lasting=self._lasting)):
                if place not in self._servers:
                    self._look.set()
                    async with self._looked:
                        await self._looked.wait()
        except TimeoutError:
            call.fail(f"slot {slot} is on its way to {place[0]}:{place[1]}")
            return
        server = self._servers.get(place)
        if server is None or server.link is None:
            call.fail(f"away: {place[0]}:{place[1]}, which has slot {slot} now")
            return
        if asking:  # holds for the next command on the connection, which follows in the same turn
            server.link.tell("ASKING")
        else:
            self._masters[slot] = server
        server.link.send(call)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
