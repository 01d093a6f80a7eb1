"""A mainframe of sorts for the demo: EBCDIC records over TCP, each behind LLZZ, as copybooks/inquiry.cpy and customer.cpy say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CODEPAGE = "cp037"
INQUIRY_BYTES = 16
LLZZ = 4
CUSTOMERS = {
    "00000042": ("Waterschap Rijnland", 2_500_000, ("WR-00017", "WR-00018")),
    "00000043": ("Polder Bau GmbH", -12_50, ()),
}
FOUND, NOT_FOUND, BAD_RECORD = "00", "04", "12"


@asynccontextmanager
async def served(port: int = 0) -> AsyncIterator[str]:
    """Answers on this port of 127.0.0.1, else on a free one; its URL."""
    talking: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a server's connections have tasks"
        talking.add(task)
        try:
            await _talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the other side, or the demo, has ended
        finally:
            talking.discard(task)
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    try:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(talking):
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One message after the other: LL, which counts itself and ZZ, then ZZ, then the record."""
    while True:
        length = int.from_bytes((await reader.readexactly(LLZZ))[:2], "big")
        record = reply(await reader.readexactly(max(0, length - LLZZ)))
        writer.write((len(record) + LLZZ).to_bytes(2, "big") + b"\0\0" + record)
        await writer.drain()


def reply(inquiry: bytes) -> bytes:
    """The CUSTOMER record for an INQUIRY record."""
    text = inquiry.decode(CODEPAGE)
    if len(inquiry) != INQUIRY_BYTES or not text.startswith("INQ1"):
        return _customer(BAD_RECORD, "0" * 8, "", 0, ())
    number = text[4:12]
    if number not in CUSTOMERS:
        return _customer(NOT_FOUND, number, "", 0, ())
    return _customer(FOUND, number, *CUSTOMERS[number])


def _customer(code: str, number: str, name: str, cents: int, contracts: tuple[str, ...]) -> bytes:
    packed = bytes.fromhex(f"{abs(cents):09d}{'D' if cents < 0 else 'C'}")  # COMP-3: a digit a nibble, the sign last
    head = f"{code}{number}{name:24}".encode(CODEPAGE)
    tail = f"{len(contracts):02d}{''.join(f'{one:8}' for one in contracts)}".encode(CODEPAGE)
    return head + packed + tail
