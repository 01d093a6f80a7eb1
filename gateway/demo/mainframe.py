"""A mainframe of sorts for the demo: EBCDIC records in and out over HTTP, as copybooks/inquiry.cpy and customer.cpy say."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

CODEPAGE = "cp037"
INQUIRY_BYTES = 16
CUSTOMERS = {
    "00000042": ("Waterschap Rijnland", 2_500_000, ("WR-00017", "WR-00018")),
    "00000043": ("Polder Bau GmbH", -12_50, ()),
}
FOUND, NOT_FOUND, BAD_RECORD = "00", "04", "12"


async def _answer(request: Request) -> Response:
    body = await request.body()
    return Response(reply(body), media_type="application/octet-stream")


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


app = Starlette(routes=[Route("/{path:path}", _answer, methods=["POST"])])
