"""The hot modules one by one, by pyperf, each in processes of its own, beside a calibration loop.

    python -m loadtests.micro.hot -o FILE [--fast] [--bench NAME]       scripts/bench does it, and compares with what is recorded

The calibration is plain Python of the kind that the modules are made of; its time says how fast machine and interpreter are.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pyperf
import uvloop

from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.options import Options, RecordFormat
from adapters.fixed_width.reading import read_layout
from adapters.soap import ADAPTER as SOAP
from adapters.soap.route import SoapRoute
from gateway.api.adapter import AdapterScope
from gateway.api.exchange import Exchange
from gateway.api.messages import Abort, Headers, Response, UpstreamRequest
from gateway.api.policy import Authenticator, Gate
from gateway.api.settings.upstream import UpstreamConfig
from gateway.compile.chain import Step, fold
from gateway.compile.registry import installed
from gateway.demo import mainframe
from gateway.http.hop_by_hop import strip_request
from gateway.routing import RouteTable, build_in_slices, route_match
from gateway.testing.exchange import FakeScope, make_exchange
from gateway.testing.tokens import TokenDesk
from gateway.upstream import Sweep, Upstream, wire
from loadtests.micro import routing
from policies import oauth2, rate_limit
from policies.cache.core import decide, keep
from policies.cache.terms import Rules, terms_of

Work = Callable[[], object]

CALIBRATION = "calibration"
DEMO = Path(mainframe.__file__).parent / "config"
AT_ONCE = 64
FIELDS = Headers(routing.FIELDS)
HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.24.0\r\nDate: Sun, 22 Nov 2026 23:00:00 GMT\r\nContent-Type: application/json\r\n"
    b'Content-Length: 2\r\nConnection: keep-alive\r\nETag: "abcdef"\r\nX-Served-By: a\r\nCache-Control: no-cache'
)


def calibration() -> Work:
    pairs = list(FIELDS)

    def work() -> None:
        seen: dict[bytes, int] = {}
        for name, value in pairs * 4:
            seen[name.lower()] = seen.get(name, 0) + len(value.split(b" ")) + (name == b"host")

    return work


def routing() -> Work:
    steps = build_in_slices([(route_match(f"/service{at}/items/{{id}}", method="GET"), at) for at in range(1000)])
    table: RouteTable[int]
    while True:
        try:
            next(steps)
        except StopIteration as done:
            table = done.value
            break
    return lambda: table.match("api.example", "/service500/items/17", "GET", FIELDS, b"")


def chain() -> Work:
    """Gates, a layer, and an end that answers at once."""
    answer = Response(200, Headers(), b"")

    async def terminal(_: Exchange) -> Response:
        return answer

    steps = []
    for name, config in (("rate_limit", {"per": "ip", "rate": "1000000/s"}), ("request_size", {}), ("timeout", {})):
        spec = installed().policies[name]
        decoded = spec.config.model_validate(config)
        built = spec.build(decoded, FakeScope(policy=name, name=name))
        steps.append(Step(spec.slot(decoded), name, built[0] if isinstance(built, list) else built, rank=spec.rank))
    handle = fold(steps, terminal).handle
    exchange = make_exchange()

    def work() -> None:
        exchange.response_headers = []
        try:
            handle(exchange).send(None)  # type: ignore[attr-defined]  # a coroutine that waits for nothing
        except StopIteration:
            return

    return work


def pool() -> Work:
    """AT_ONCE calls over kept connections to a peer in the same loop: pool, connection and both sockets."""
    loop = uvloop.new_event_loop()

    class Answering(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(HEAD + b"\r\n\r\n{}")

    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    loop.run_until_complete(loop.create_server(Answering, sock=listener))
    upstream = Upstream("micro", UpstreamConfig.model_validate({"targets": [f"http://127.0.0.1:{listener.getsockname()[1]}"]}), Sweep(loop))  # fmt: skip

    def slow(abort: Abort) -> None:
        """As the edge gives one with each request."""

    request = UpstreamRequest("GET", b"/orders/17", FIELDS, None, slow)

    async def calls() -> None:
        await asyncio.gather(*(upstream.send(request, loop.time() + 10, replayable=True) for _ in range(AT_ONCE)))

    return lambda: loop.run_until_complete(calls())


def token() -> Work:
    desk = TokenDesk()
    policy = oauth2.POLICY.build(oauth2.POLICY.config(issuer="partners"), desk.scope)
    assert isinstance(policy, Authenticator)
    known = make_exchange("GET", "/orders", [("authorization", f"Bearer {desk.issuer.token('acme-prod')}")])
    asyncio.run(policy.identify(known))
    return lambda: policy.identify_nowait(known)


def gcra() -> Work:
    config = rate_limit.POLICY.config(per="ip", rate="1000000/s", burst=2_000_000)
    built = rate_limit.POLICY.build(config, FakeScope(policy="rate_limit"))
    gate = built[0] if isinstance(built, list) else built
    assert isinstance(gate, Gate)
    exchange = make_exchange()

    def work() -> None:
        exchange.response_headers = []
        gate.check(exchange)

    return work


def cached() -> Work:
    fields = Headers(
        [(b"date", b"Thu, 01 Jan 2026 00:00:00 GMT"), (b"cache-control", b"max-age=600"), (b"etag", b'"a"')]
    )
    stored = keep(
        200,
        fields,
        b"x",
        Headers(),
        terms_of(fields, 0.0, Rules()),
        Rules(),
        now=0.0,
        wall=1_767_225_600.0,
        delay_s=0.0,
    )
    return lambda: decide(stored, None, 5.0)


def records() -> tuple[RecordCodec, bytes]:
    codec = RecordCodec(
        read_layout(DEMO / "copybooks" / "customer.cpy"),
        Options(codepage=mainframe.CODEPAGE, record_format=RecordFormat("odo")),
    )
    return codec, mainframe.reply("INQ100000042WEB ".encode(mainframe.CODEPAGE))


def records_read() -> Work:
    codec, record = records()
    return lambda: codec.decode(record)


def records_written() -> Work:
    codec, record = records()
    value = codec.decode(record)
    return lambda: codec.encode(value)


def soap() -> Work:
    """A call's envelope."""
    config = SOAP.config(wsdl="wsdl/stock.wsdl", operation="GetStock", request={"Item": "{path.item}"}, safe=True)
    route = SOAP.build(config, AdapterScope("route", "upstream", lambda path: (DEMO / path).read_bytes()))
    assert isinstance(route, SoapRoute)
    exchange = make_exchange("GET", "/stock/penstock", (), params={"item": "penstock"})
    return lambda: route.codec.encode(exchange, b"")


BENCHES: dict[str, tuple[Callable[[], Work], int]] = {
    CALIBRATION: (calibration, 1),
    "routing: one of 1,000 routes": (routing, 1),
    "chain: three policies that pass": (chain, 1),
    "headers: strip_request": (lambda: lambda: strip_request(FIELDS), 1),
    "wire: read a head": (lambda: lambda: wire.read_head(HEAD, False), 1),
    "wire: write a head": (lambda: lambda: wire.write_head("GET", b"/orders/17", b"127.0.0.1:8080", FIELDS, b""), 1),
    "pool: a call over loopback": (pool, AT_ONCE),
    "token: remembered": (token, 1),
    "gcra: a limit in memory": (gcra, 1),
    "cache: decide a hit": (cached, 1),
    "codec: read a record": (records_read, 1),
    "codec: write a record": (records_written, 1),
    "codec: write a SOAP envelope": (soap, 1),
}


def main() -> None:
    runner = pyperf.Runner(program_args=("-m", "loadtests.micro.hot"), add_cmdline_args=_hand_on)
    runner.argparser.add_argument("--bench", default="", help="only those whose name this regular expression finds")
    runner.parse_args()
    for name, (make, inner) in BENCHES.items():
        if name == CALIBRATION or re.search(runner.args.bench, name):
            runner.bench_time_func(name, timed(make), inner_loops=inner)


def timed(make: Callable[[], Work]) -> Callable[[int], float]:
    """Seconds of so many rounds. What is measured is made when it is first asked for: each process measures one."""
    work: Work | None = None

    def rounds(loops: int) -> float:
        nonlocal work
        if work is None:
            work = make()
            work()
        began = time.perf_counter()
        for _ in range(loops):
            work()
        return time.perf_counter() - began

    return rounds


def _hand_on(command: list[str], arguments: argparse.Namespace) -> None:
    """Worker processes must choose as this one did."""
    command += ["--bench", arguments.bench]


if __name__ == "__main__":
    main()
