"""What supervisor and workers say to each other, and the framing of it. Decides nothing.

Messages are pickles behind their length, over a socket pair that only these two processes hold: whoever can write to it
could as well have started the worker.
"""

from __future__ import annotations

import asyncio
import itertools
import pickle
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

_LENGTH = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class InheritedListener:
    fd: int
    url: str
    unix: str | None


@dataclass(frozen=True, slots=True)
class Begin:
    """The first order: who you are."""

    listeners: tuple[InheritedListener, ...]
    server: Literal["auto", "granian", "uvicorn"]
    workers: int


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the next configuration (gateway.runtime.delta). Needs no answer."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Prepare:
    """All parts are there: build them, beside what is served."""


@dataclass(frozen=True, slots=True)
class Commit:
    """Serve what was prepared."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """Forget what was or is being prepared. Needs no answer."""


@dataclass(frozen=True, slots=True)
class Accept:
    """Take connections."""


@dataclass(frozen=True, slots=True)
class Count:
    """Report your counters."""


@dataclass(frozen=True, slots=True)
class Depend:
    """Say which systems beside the gateway you use, and whether each can be used."""


@dataclass(frozen=True, slots=True)
class Purge:
    """Carry out an order of the ops plane."""

    request: object


@dataclass(frozen=True, slots=True)
class Announce:
    """The gateway will end: say `Connection: close` with every answer. Needs no answer."""


@dataclass(frozen=True, slots=True)
class LetGo:
    """Take no more connections, close idle ones after `linger_s`, answer what is in flight, then leave."""

    linger_s: float
    timeout_s: float


Order: TypeAlias = Begin | Part | Prepare | Commit | Abandon | Accept | Count | Depend | Purge | Announce | LetGo


@dataclass(frozen=True, slots=True)
class Spread:
    """The one message that a worker sends unasked: let the other workers carry this order out. Needs no answer."""

    order: object


@dataclass(frozen=True, slots=True)
class Ask:
    """An order. Number 0 wants no answer."""

    number: int
    order: Order


@dataclass(frozen=True, slots=True)
class Answer:
    number: int
    value: Any
    failure: str | None = None  # why it could not be done


class WorkerFailedError(Exception):
    """A worker did not do what it was asked; the text is for ops."""


class Channel:
    """One end of the control socket. Raises EOFError when the other end is gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, sock: socket.socket) -> Channel:
        return cls(*await asyncio.open_connection(sock=sock))

    async def send(self, *messages: Ask | Answer | Spread) -> None:
        for message in messages:
            data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
            try:
                self._writer.write(_LENGTH.pack(len(data)) + data)
                await self._writer.drain()
            except (ConnectionError, RuntimeError) as exc:  # RuntimeError: uvloop's word for a closed transport
                raise EOFError from exc

    async def receive(self) -> Any:
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            return pickle.loads(await self._reader.readexactly(length))  # noqa: S301 - see the module's first lines
        except (asyncio.IncompleteReadError, ConnectionError) as exc:
            raise EOFError from exc

    def close(self) -> None:
        self._writer.close()


class Link:
    """The supervisor's end: orders out, answers matched to them."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.on_spread: Callable[[object], None] = lambda order: None  # what the worker asks of the others
        self._listening = asyncio.get_running_loop().create_task(self._listen(), name="control link")
        self.gone = asyncio.Event()  # the worker left, or died

    async def tell(self, orders: Iterable[Order]) -> None:
        try:
            await self._channel.send(*(Ask(0, order) for order in orders))
        except EOFError as exc:
            raise WorkerFailedError("it died") from exc

    async def ask(self, order: Order, timeout_s: float) -> Any:
        """Its answer. Raises WorkerFailedError when there is none in time, or it says that it could not."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            if self.gone.is_set():
                raise EOFError
            async with asyncio.timeout(timeout_s):
                await self._channel.send(Ask(number, order))
                return await answer
        except EOFError as exc:
            raise WorkerFailedError("it died") from exc
        except TimeoutError as exc:
            raise WorkerFailedError(f"no answer to {type(order).__name__.lower()} within {timeout_s:g} s") from exc
        finally:
            del self._waiting[number]

    async def close(self) -> None:
        self._channel.close()
        await self._listening

    async def _listen(self) -> None:
        try:
            while True:
                answer: Answer | Spread = await self._channel.receive()
                if isinstance(answer, Spread):
                    self.on_spread(answer.order)
                    continue
                future = self._waiting.get(answer.number)
                if future is None or future.done():
                    continue
                if answer.failure is None:
                    future.set_result(answer.value)
                else:
                    future.set_exception(WorkerFailedError(answer.failure))
        except EOFError:
            self.gone.set()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(WorkerFailedError("it died"))
