"""Parts of a message that is still arriving, and messages that are written while their parts arrive.

Of a stream at most one part's name, a few octets and what came too early are held; never a message.
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence

from adapters.soap.codec.multipart import Part, end_of, part_head
from adapters.soap.codec.parts_reader import BadMultipart, End, Event, PartHead, PartsReader
from gateway.api.messages import Body

NameOf = Callable[[PartHead], str | None]
"""What an arriving part is called in the message that goes out; None leaves it out."""


class PartStream:
    """The parts of a body, one after the other. Raises BadMultipart, and what the body raises."""

    def __init__(self, body: Body, content_type: str) -> None:
        self._body = body
        self._reader = PartsReader(content_type)
        self._events: deque[Event] = deque()
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

    async def _event(self) -> Event | None:
        while not self._events:
            if self._over:
                return None
            octets = await self._body.read()
            if octets:
                self._events.extend(self._reader.feed(octets))
            else:
                self._over = True
                self._reader.close()
        return self._events.popleft()


class Flow(Body):
    """A body that is made piece by piece. Closing it gives up on what it is made from."""

    __slots__ = ("_pieces", "_source", "length")

    def __init__(self, pieces: AsyncGenerator[bytes, None], source: Body) -> None:
        self._pieces = pieces
        self._source = source
        self.length = None

    async def read(self) -> bytes:
        async for piece in self._pieces:
            if piece:
                return piece
        return b""

    def close(self) -> None:
        self._source.close()


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
    yield part_head(boundary, root_type, "root@sluicegate") + root
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


__all__ = ["End", "Flow", "PartStream", "carried", "inlined"]
