"""Questions about who is where, each over a connection of its own: to sentinels, and to the nodes of a cluster."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable

import hiredis

from gateway.api.errors import StoreError
from gateway.stores.redis.address import Address
from gateway.stores.redis.resp import Word, pack

ANSWER_S = 0.5  # of one of several that may know

Place = tuple[str, int]


async def master_of(
    sentinels: Iterable[Place], address: Address, context: ssl.SSLContext | None
) -> tuple[Place, Place]:
    """Where the master is, and which sentinel says so: the first that knows is believed. Raises StoreError."""
    reasons = []
    for place in sentinels:
        try:
            reply = await inquire(
                place, ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.master), address, context, demanded=False
            )
            match reply:
                case [bytes() as host, bytes() as port]:
                    return (host.decode(), int(port)), place
                case None:
                    reasons.append(f"{place[0]}:{place[1]} knows no master '{address.master}'")
                case _:
                    reasons.append(f"{place[0]}:{place[1]} answers nonsense; is it a sentinel?")
        except (OSError, StoreError, ValueError) as problem:
            reasons.append(f"{place[0]}:{place[1]}: {problem}")
    raise StoreError(f"no sentinel names the master: {'; '.join(reasons)}")


async def slots_of(
    places: Iterable[Place], address: Address, context: ssl.SSLContext | None
) -> list[tuple[range, Place]]:
    """Which master holds which slots; the first node that knows is believed. Raises StoreError."""
    reasons = []
    for place in places:
        try:
            reply = await inquire(place, ("CLUSTER", "SLOTS"), address, context)
            found = [_of_range(each, place) for each in reply] if isinstance(reply, list) else []
            if found:
                return found
            reasons.append(f"{place[0]}:{place[1]} knows no slots")
        except (OSError, StoreError) as problem:
            reasons.append(f"{place[0]}:{place[1]}: {problem}")
        except (ValueError, TypeError, LookupError, AttributeError):
            reasons.append(f"{place[0]}:{place[1]} answers nonsense; is it part of a cluster?")
    raise StoreError(f"no node tells where the slots are: {'; '.join(reasons)}")


def _of_range(entry: list[object], asked: Place) -> tuple[range, Place]:
    # https://redis.io/docs/latest/commands/cluster-slots/: first, last, the master, its replicas
    match entry:
        case [int() as first, int() as last, [host, int() as port, *_], *_]:
            # a node that does not know its own name is where it was asked
            named = host.decode() if isinstance(host, bytes) and host not in (b"", b"?") else asked[0]
            return range(first, last + 1), (named, port)
        case _:
            raise ValueError("no range of slots")


async def inquire(
    place: Place, question: tuple[Word, ...], address: Address, context: ssl.SSLContext | None, *, demanded: bool = True
) -> object:
    """The answer to one question. Raises OSError, StoreError.

    Sentinels are asked without the password first (`demanded` is false): they seldom have one, and refuse one that they do not need.
    """
    words = (address.user, address.password) if address.user else (address.password,)
    server_name = None if address.tls is None else address.tls.server_name or place[0]
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(*place, ssl=context, server_hostname=server_name)
            try:
                replies = hiredis.Reader()

                async def ask(command: tuple[Word, ...]) -> object:
                    writer.write(pack(command))
                    while (reply := replies.gets()) is False:
                        data = await reader.read(65536)
                        if not data:
                            raise StoreError("it closed the connection")
                        replies.feed(data)
                    return reply

                if address.password and demanded:
                    _sound(await ask(("AUTH", *words)))
                reply = await ask(question)
                if address.password and not demanded and str(reply).startswith("NOAUTH"):
                    _sound(await ask(("AUTH", *words)))
                    reply = await ask(question)
                return _sound(reply)
            finally:
                writer.transport.abort()
    except TimeoutError:
        raise StoreError(f"no answer within {ANSWER_S * 1000:.0f} ms") from None
    except hiredis.HiredisError:
        raise StoreError("it answers nonsense") from None


def _sound(reply: object) -> object:
    if isinstance(reply, hiredis.ReplyError):
        raise StoreError(str(reply))
    return reply
