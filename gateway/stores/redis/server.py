"""One Redis server over its whole life: found, greeted, listened to, given up, tried again. Knows no keys of policies.

One that does not answer in time is asked for a heartbeat, which is a write; when that is late too the server is away for
everybody: nobody else waits for it, until a heartbeat was answered in time. Thus a request waits for a dead Redis once at most, and
only within twice the time that an answer may take; and a full or read-only one is away too.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import ssl
from collections.abc import Awaitable, Callable

from gateway.api.backoff import doubled_s
from gateway.api.errors import StoreError
from gateway.api.standing import Standing
from gateway.stores.redis.address import Address
from gateway.stores.redis.durability import durability_of
from gateway.stores.redis.greeting import greet
from gateway.stores.redis.heartbeat import Heartbeat
from gateway.stores.redis.inquiry import Place
from gateway.stores.redis.link import Call, Link

log = logging.getLogger("sluicegate.store")

CONNECT_S = 1.0  # to connect and to greet
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 0.5  # between two tries: what is back is used within a second
DEAD_S = 2.0  # without a byte, heartbeats included: the connection is opened anew
MAX_REASONS = 4  # lines about one absence: lost, refused, a wrong password
STEADY_S = 5.0  # one that was well so long begins with short pauses again

# Errors of the whole server, which a heartbeat meets as well; any other belongs to the one call
# https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors; before Redis 7 scripts wrap them:
# "ERR Error running script (call to f_…): @user_script: 1: -OOM command not allowed …"
_WHOLE = re.compile(
    r"(?:^|: -?)(OOM|READONLY|MISCONF|LOADING|MASTERDOWN|NOREPLICAS|BUSY|UNKILLABLE|NOAUTH|CLUSTERDOWN)\b"
)
_ELSEWHERE = ("READONLY", "MASTERDOWN", "NOAUTH")  # another connection may reach the right server, or be let in

Locate = Callable[[], Awaitable[Place]]
"""Where to connect to, asked before each try. Raises OSError or StoreError when nobody knows."""

Redirect = Callable[[Call, str], bool]
"""Told an error that a call met; True when it took the call over, to ask another server."""


class Server:
    """Implements link.Owner. Whoever asks takes `link`, and goes without when it is None."""

    def __init__(
        self,
        locate: Locate,
        address: Address,
        context: ssl.SSLContext | None,
        heartbeat: Heartbeat,
        standing: Standing,
        name: str,
        *,
        lasting: bool,
        moves: bool = False,
        redirect: Redirect | None = None,
    ) -> None:
        """`moves`: locate is asked now and then, for it may name another place while this one still answers."""
        self.link: Link | None = None  # while it can be used
        self.standing = standing
        self._locate = locate
        self._address = address
        self._context = context
        self._timeout_s = address.wait_s(lasting=lasting)
        self._acks = address.acks if lasting else 0
        self._lasting = lasting
        self._moves = moves
        self._redirect = redirect
        self._heartbeat = heartbeat
        self._name = name
        self._place: Place | None = None
        self._open: Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()  # the first try has ended, well or not
        self._nudge = asyncio.Event()  # look at the connection now
        self._ended = asyncio.Event()  # it is lost
        self._since = 0.0  # when it went away or came back
        self._reasons: set[str] = set()  # that were logged since it went away
        self._warned = False

    async def settled(self) -> None:
        """Begin, if nobody has; returns when the first try has ended, well or not."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._live(), name=f"store {self._name}")
        await self._settled.wait()

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})
        if self._open is not None:
            if self.link is not None:
                await self._heartbeat.leave(self._open)
            self.link = None
            self._open.close("closed")

    # its life

    async def _live(self) -> None:
        tries = 0
        while True:
            began = _now()
            try:
                link = await self._connect()
            except (OSError, UnicodeError, StoreError) as problem:  # UnicodeError: a host that is no name
                self._away(str(problem) or type(problem).__name__)
            except Exception as bug:  # whoever waits must not wait for ever
                reason = f"a bug: {type(bug).__name__}: {bug}"
                if reason not in self._reasons:
                    log.exception("a bug keeps store %s away", self._name)
                self._away(reason)
            else:
                await self._stay(link)
            self._settled.set()
            tries = 1 if _now() - began > STEADY_S else tries + 1
            pause_s = doubled_s(tries, FIRST_PAUSE_S, LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311 - spreads tries, guards nothing

    async def _connect(self) -> Link:
        """A connection that was greeted and has written a heartbeat. Raises OSError, StoreError."""
        link = Link(self, CONNECT_S)
        self._place = host, port = await self._locate()
        tls = self._address.tls
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().create_connection(
                    lambda: link,
                    host,
                    port,
                    ssl=self._context,
                    server_hostname=None if tls is None else tls.server_name or host,
                )
        except TimeoutError:
            raise StoreError(f"no connection within {CONNECT_S:.0f} s") from None
        self._open = link
        try:
            await greet(link, self._address)
            if self._lasting:
                await self._judge(link)
            link.expect(max(self._timeout_s, CONNECT_S), self._acks)
            await self._heartbeat.beat(link)
        except StoreError as problem:
            link.close(str(problem))
            raise
        link.expect(self._timeout_s, self._acks)
        self._ended.clear()
        self._back(link)
        return link

    async def _judge(self, link: Link) -> None:
        """Whether it keeps what must last. Raises StoreError when it may drop it."""
        before = self.standing.durability
        found = self.standing.durability = await durability_of(link, self._acks)
        if found.evicts:
            raise StoreError(
                f"it drops keys when its memory is full ({found.eviction}); set maxmemory-policy noeviction"
            )
        if found == before:
            return
        if not found.eviction:
            log.warning("store %s does not tell its maxmemory-policy; it must be noeviction", self._name)
        if found.loses:
            log.warning("store %s: a crash of Redis loses %s (docs/stores.md)", self._name, found.loses)

    async def _stay(self, link: Link) -> None:
        """Beat until the connection is lost."""
        losses = 0
        while not link.ended:
            if self.link is not None:
                await _wait(self._nudge, self._heartbeat.every_s)
                if _now() - self._since > STEADY_S:
                    losses = 0
            if self.link is None:
                # at once; but one that goes away again and again is tried less and less
                await _wait(self._ended, doubled_s(losses, FIRST_PAUSE_S, LONGEST_PAUSE_S))
                losses += 1
            self._nudge.clear()
            try:
                await self._heartbeat.beat(link)
            except StoreError as problem:
                self._away(str(problem))
                if link.silent_s() > DEAD_S:
                    link.close(str(problem))
            else:
                if not link.ended:
                    self._back(link)
                    await self._follow(link)

    async def _follow(self, link: Link) -> None:
        """Leave a server that still answers when another one has taken its place."""
        if not self._moves:
            return
        try:
            place = await self._locate()
        except (OSError, StoreError):
            return  # nobody knows better
        if place != self._place:
            link.close(f"{place[0]}:{place[1]} has taken its place")

    # what the link tells

    def refused(self, link: Link, call: Call, error: str) -> None:
        if error.startswith("NOSCRIPT") and call.script is not None:
            call.packed, call.script = call.script.in_full(call.packed), None
            link.send(call)
            return
        if self._redirect is not None and self._redirect(call, error):
            return
        call.fail(error)
        found = _WHOLE.search(error)
        if found is not None:
            if self.link is link:
                self._away(error)
            if found[1] in _ELSEWHERE:
                link.close(error)
        elif self.link is link and not self._warned:
            self._warned = True  # one line is enough: the same will come with each request
            log.error("store %s refuses an operation: %s", self._name, error)

    def late(self, link: Link) -> None:
        self._nudge.set()  # a machine that is short of processor time is late now and then; a heartbeat decides, at once

    def lost(self, link: Link, reason: str) -> None:
        if self._open is link:
            self._open = None
            if self.link is link:
                self._away(reason)
            self._nudge.set()
            self._ended.set()

    # away and back

    def _away(self, reason: str) -> None:
        self.link = None
        self._nudge.set()
        if self.standing.gone(reason):
            self._since = _now()
            self._reasons.clear()
        if reason not in self._reasons and len(self._reasons) < MAX_REASONS:
            log.warning("store %s is away: %s", self._name, reason)
            self._reasons.add(reason)

    def _back(self, link: Link) -> None:
        self.link = link
        if self.standing.back():
            if self._settled.is_set():
                log.warning("store %s is back after %.1f s", self._name, _now() - self._since)
            self._since = _now()
            self._warned = False
        self._settled.set()


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _wait(event: asyncio.Event, at_most_s: float) -> None:
    try:
        async with asyncio.timeout(at_most_s):
            await event.wait()
    except TimeoutError:
        return
