"""One connection to Redis: what is asked while an answer is awaited leaves in one piece, answers come back in order.

Knows RESP's framing (hiredis) and time, and not what is asked. It never opens itself again: that is server.py's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import chain
from typing import Any, Protocol, TypeVar, cast

from hiredis import HiredisError, Reader, ReplyError

from gateway.api.errors import StoreError
from gateway.stores.redis.resp import Word, pack
from gateway.stores.redis.scripts import Script

GRACE_S = 0.001  # at least, once per wait: a loop that was held up itself must read before it gives others up
WINDOW_S = 0.001  # the finest that an event loop's timers know
CROWD_PER_S = 4000  # calls that make it worth waiting for a window's worth of them
NONSENSE = "it answers nonsense; is this Redis?"

T = TypeVar("T")

_NOTHING: Any = object()


class Call:
    """A command on its way; `script` when it calls one by its digest, which the server may not know.

    `future` gets what `parse` makes of the reply; it raises ValueError, TypeError or LookupError at nonsense.
    """

    # what most calls never change has its value here
    hops = 0  # from one server of a cluster to another
    reply = _NOTHING  # kept until replicas have acknowledged it
    due: float

    def __init__(
        self,
        packed: bytes,
        future: asyncio.Future[Any],
        script: Script | None = None,
        parse: Callable[[Any], Any] | None = None,
    ) -> None:
        self.packed = packed
        self.future = future
        self.script = script
        self.parse = parse

    def answer(self, reply: Any) -> bool:
        """False: the reply is none to this call, which has failed."""
        if self.future.done():  # its caller was cancelled, or told that it is late
            return True
        try:
            self.future.set_result(reply if self.parse is None else self.parse(reply))
        except (ValueError, TypeError, LookupError):
            self.fail(NONSENSE)
            return False
        return True

    def fail(self, reason: str, *, asked: bool = True) -> None:
        if not self.future.done():
            self.future.set_exception(StoreError(reason, asked=asked))


class Wait(Call):
    """A WAIT: decides the calls that were sent before it (https://redis.io/docs/latest/commands/wait/)."""

    def __init__(self, calls: list[Call], wanted: int, timeout_s: float) -> None:
        super().__init__(pack(("WAIT", wanted, int(timeout_s * 1000))), calls[-1].future)
        self._calls = calls
        self._wanted = wanted

    def answer(self, reply: Any) -> bool:
        if not isinstance(reply, int) or reply < self._wanted:
            self.fail(f"written, but acknowledged by {reply} of {self._wanted} replicas")
            return True
        # one that was sent once more in the meantime belongs to a later WAIT
        sound = [call.answer(call.reply) for call in self._calls if call.reply is not _NOTHING]
        return all(sound)

    def fail(self, reason: str, *, asked: bool = True) -> None:
        for call in self._calls:
            call.fail(reason, asked=asked)


class Owner(Protocol):
    """Who opened a link."""

    def refused(self, link: Link, call: Call, error: str) -> None:
        """The server answered a call with an error."""
        ...

    def late(self, link: Link) -> None:
        """Calls were not answered in time; they have failed. The link is still open."""
        ...

    def lost(self, link: Link, reason: str) -> None:
        """The link is closed, and all its calls have failed."""
        ...


class Link(asyncio.Protocol):
    """Calls leave at the end of the turn in which they were made, and fail when not answered within `timeout_s`.

    A write and a read cost this process, and Redis, many times what a call more in them does. So the next calls gather
    while others are on their way, and for a millisecond while there are many; else they leave at once.
    """

    def __init__(self, owner: Owner, timeout_s: float) -> None:
        self.acks = 0  # replicas that must acknowledge what is sent from now on
        self._owner = owner
        self.timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._reader = Reader(notEnoughData=_NOTHING)
        self._transport: asyncio.Transport | None = None
        self._pending: deque[Call] = deque()
        self._next: list[Call] = []  # that have not left yet; all are due at once
        self._due = 0.0
        self._gathering = False  # somebody has asked for a flush
        self._counted, self._counted_from = 0, 0.0
        self._crowded = False
        self._timer: asyncio.TimerHandle | None = None
        self._graced = False
        self._heard = self._loop.time()
        self.ended = ""  # why; empty while it is open

    def expect(self, timeout_s: float, acks: int = 0) -> None:
        """From now on, of calls that are yet to come: how soon they are answered, and which replicas have them."""
        self.timeout_s, self.acks = timeout_s, acks
        if self._timer is not None:  # it was set for longer
            self._timer.cancel()
            self._timer = None
            self._look()

    # asking

    def send(self, call: Call) -> None:
        """Ask together with the others of this turn, or of this round trip."""
        gathered = self._next
        if not gathered:
            self._due = self._loop.time() + self.timeout_s
            if self._timer is None:
                self._arm(self.timeout_s)
            if not self._pending:
                self._gather()
        call.due = self._due
        gathered.append(call)

    def call(self, script: Script, packed: bytes, parse: Callable[[Any], T]) -> asyncio.Future[T]:
        """Run a script; `packed` is what it made of keys and arguments."""
        future = self._loop.create_future()
        self.send(Call(packed, future, script, parse))
        return future

    def ask(self, *command: Word) -> asyncio.Future[Any]:
        """The same for any command."""
        call = Call(pack(command), self._loop.create_future())
        self.send(call)
        return call.future

    def tell(self, *command: Word) -> None:
        """The same where the answer says nothing."""
        self.ask(*command).add_done_callback(lambda future: future.cancelled() or future.exception())

    def _gather(self) -> None:
        """Until the end of the turn, or of a window."""
        if self._gathering:
            return
        self._gathering = True
        now = self._loop.time()
        passed_s = now - self._counted_from
        if passed_s >= WINDOW_S:
            self._crowded = self._counted >= CROWD_PER_S * passed_s
            self._counted, self._counted_from = 0, now
        if self._crowded:
            self._loop.call_later(WINDOW_S, self._flush)
        else:
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._gathering = False
        if self._transport is None or self.ended:
            self._fail_next(self.ended or "it is not connected")
            return
        if not self._next:
            return
        calls, self._next = self._next, []
        self._counted += len(calls)
        if self.acks:
            wait = Wait(calls[:], self.acks, self.timeout_s * 0.9)
            wait.due = self._due
            calls.append(wait)
        self._pending += calls
        self._transport.write(b"".join([call.packed for call in calls]))

    def silent_s(self) -> float:
        """Seconds since the server was heard."""
        return self._loop.time() - self._heard

    # time

    def _arm(self, after_s: float) -> None:
        self._timer = self._loop.call_later(after_s, self._look)

    def _look(self) -> None:
        """Is there a call that has waited too long? One timer looks for all."""
        self._timer = None
        oldest = next((call for call in chain(self._pending, self._next) if not call.future.done()), None)
        now = self._loop.time()
        if oldest is None or oldest.due > now:
            self._graced = False
            if oldest is not None:
                self._arm(oldest.due - now)
            return
        if not self._graced:
            self._graced = True
            # for as long as this loop was held up: the call may have left that much later than it was made
            self._arm(min(max(GRACE_S, now - oldest.due), self.timeout_s))
            return
        self._graced = False
        reason = f"no answer within {self.timeout_s * 1000:.0f} ms"
        for call in self._pending:
            if call.due <= now:
                call.fail(reason)
        if self._due <= now:
            self._fail_next(reason)
        self._look()
        self._owner.late(self)

    def _fail_next(self, reason: str) -> None:
        calls, self._next = self._next, []
        for call in calls:
            call.fail(reason, asked=False)

    # the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's says so by no base class

    def data_received(self, data: bytes) -> None:
        pending = self._pending
        gets = self._reader.gets
        acks = self.acks
        self._reader.feed(data)
        self._heard = self._loop.time()
        try:
            while (reply := gets()) is not _NOTHING:
                call = pending.popleft()
                if reply.__class__ is ReplyError:
                    self._owner.refused(self, call, str(reply))
                elif acks and not isinstance(call, Wait):
                    call.reply = reply
                elif not call.answer(reply):
                    self.close(NONSENSE)
                    return
        except (HiredisError, IndexError):  # not RESP; or an answer that nobody asked for
            self.close(NONSENSE)
            return
        if self._next and not pending:
            self._gather()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"the connection was lost{f': {exc}' if exc else ''}")

    def close(self, reason: str) -> None:
        """Close at once; calls fail with the reason."""
        if self._transport is not None:
            self._transport.abort()
        self._end(reason)

    def _end(self, reason: str) -> None:
        if self.ended:
            return
        self.ended = reason
        if self._timer is not None:
            self._timer.cancel()
        for call in self._pending:
            call.fail(reason)
        self._pending.clear()
        self._fail_next(reason)
        self._owner.lost(self, reason)
