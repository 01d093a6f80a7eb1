"""Parts of a message that is still arriving, and messages that are written while their parts arrive.

Of a stream at most one part's name, a few octets and what came too early are held; never a message.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

from adapters.soap.codec.multipart import Part, end_of, part_head, root_id
from adapters.soap.codec.parts_reader import BadMultipart, Event, PartHead, PartsReader
from gateway.api.messages import Body

NameOf = Callable[[PartHead], str | None]
"""What an arriving part is called in the message that goes out; None leaves it out."""


class PartStream:
    """The parts of a body, one after the other. Raises BadMultipart, and what the body raises."""

    def __init__(self, body: Body, content_type: str) -> None:
        self._body = body
        self._reader = PartsReader(content_type)
        self._events: Iterator[Event] = iter(())
        self._received = 0
        self._over = False

    async def next(self) -> PartHead | None:
        """The next part; what is unread of the present one is passed over. None at the end."""
        while (event := await self._event()) is not None:
            if isinstance(event, PartHead):
                return event
        return None

    async def read(self) -> bytes:
        """The next octets of the present part, never empty before its end."""
        event = await self._event()
        return event if isinstance(event, bytes) else b""

    async def whole(self, limit: int) -> bytes:
        """The rest of the present part."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self.read():
            size += len(piece)
            if size > limit:
                raise BadMultipart("a part of the multipart message is longer than can be held")
            pieces.append(piece)
        return b"".join(pieces)

    @property
    def boundary(self) -> str:
        return self._reader.boundary

    @property
    def left(self) -> int | None:
        """After a part's end: how long the message still is, from the boundary on. None where nobody says."""
        length = self._body.length
        return None if length is None else length - self._received + len(self._reader.behind)

    async def untouched(self, wanted: set[str]) -> AsyncGenerator[bytes, None]:
        """After a part's end: the rest of the message as it is, from the boundary on, watched while it passes.

        Raises BadMultipart before its end when it is malformed, or when a part that is `wanted` never came.
        """
        missing = set(wanted)
        piece = self._reader.behind
        while piece:
            for event in self._events:
                if isinstance(event, PartHead):
                    missing.discard(event.content_id)
            if self._reader.over and missing:
                raise BadMultipart("the message refers to a part that it does not have")
            yield piece
            piece = await self._body.read()
            self._received += len(piece)
            self._events = self._reader.feed(piece)
        self._reader.close()

    async def _event(self) -> Event | None:
        while True:
            for event in self._events:
                return event
            if self._over:
                return None
            octets = await self._body.read()
            self._received += len(octets)
            self._events = self._reader.feed(octets)
            if not octets:
                self._over = True
                self._reader.close()


class Flow(Body):
    """A body that is made piece by piece. Closing it gives up on what it is made from."""

    __slots__ = ("_pieces", "_source", "length")

    def __init__(self, pieces: AsyncGenerator[bytes, None], source: Body, length: int | None = None) -> None:
        self._pieces = pieces
        self._source = source
        self.length = length

    async def read(self) -> bytes:
        async for piece in self._pieces:
            if piece:
                return piece
        return b""

    def close(self) -> None:
        self._source.close()


class Begun(Body):
    """A body whose beginning was read already."""

    __slots__ = ("_beginning", "_rest", "length")

    def __init__(self, beginning: list[bytes], rest: Body) -> None:
        self._beginning = beginning
        self._rest = rest
        self.length = None

    async def read(self) -> bytes:
        return self._beginning.pop(0) if self._beginning else await self._rest.read()

    def close(self) -> None:
        self._rest.close()


async def short_or_begun(body: Body, limit: int) -> bytes | Begun:
    """All of a body of unknown length, if it ends within `limit` octets; else the body, to be read from its beginning."""
    pieces: list[bytes] = []
    size = 0
    while size <= limit:
        piece = await body.read()
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
    return Begun(pieces, body)


async def carried(
    boundary: str,
    root: bytes,
    root_type: str,
    early: Sequence[Part],
    parts: PartStream,
    name_of: NameOf,
    wanted: set[str],
) -> AsyncGenerator[bytes, None]:
    """A multipart/related message: its root, parts that are there already, and those that arrive.

    Raises BadMultipart at the end when a part that the root refers to never came: nobody may take the message for whole.
    """
    yield part_head(boundary, root_type, root_id(boundary)) + root
    missing = set(wanted)
    for part in early:
        yield b"\r\n" + part_head(boundary, part.content_type, part.content_id) + part.content
    while (head := await parts.next()) is not None:
        name = name_of(head)
        if name is None:
            continue
        missing.discard(name)
        yield b"\r\n" + part_head(boundary, head.content_type, name)
        while piece := await parts.read():
            yield piece
    if missing:
        raise BadMultipart("the message refers to a part that it does not have")
    yield end_of(boundary)


async def behind(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    yield first
    async for piece in rest:
        yield piece


async def inlined(
    pieces: Sequence[bytes], names: Sequence[str], parts: PartStream, name_of: NameOf, limit: int
) -> AsyncGenerator[bytes, None]:
    """Text with parts as base64 inside: `pieces` with the parts called `names` between them.

    Parts that come before it is their turn are held, up to `limit` octets in all; so is one that is asked for twice.
    """
    held: dict[str, bytes] = {}
    left = limit
    for number, piece in enumerate(pieces):
        yield piece
        if number == len(names):
            break
        wanted = names[number]
        while wanted not in held:
            head = await parts.next()
            if head is None:
                raise BadMultipart("the message refers to a part that it does not have")
            name = name_of(head)
            if name == wanted and wanted not in names[number + 1 :]:
                async for octets in _base64(parts):
                    yield octets
                break
            if name in names[number:]:
                assert name is not None, "names are strings"
                held[name] = await parts.whole(left)
                left -= len(held[name])
        else:
            yield b64encode(held[wanted])
            if wanted not in names[number + 1 :]:
                left += len(held.pop(wanted))
    while await parts.next() is not None:
        pass  # to its end: a message that breaks off is not whole


async def _base64(parts: PartStream) -> AsyncGenerator[bytes, None]:
    rest = b""
    while piece := await parts.read():
        piece = rest + piece
        whole = len(piece) - len(piece) % 3
        rest = piece[whole:]
        yield b64encode(piece[:whole])
    yield b64encode(rest)
