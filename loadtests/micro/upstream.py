"""CPU per request of the upstream client, beside the same bytes over bare sockets of the same event loop.

    python loadtests/micro/upstream.py [REQUESTS] [--loop asyncio]

One process calls a scripted upstream in another over keep-alive connections, 64 calls at a time. The bare line does
what no client can avoid: a future, one write, one read. The difference is what the client itself costs. Pure pieces
are timed alone below it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import socket
import time
from collections.abc import Awaitable, Callable

import httptools
import uvloop

from gateway.api.messages import Abort, Headers, UpstreamRequest
from gateway.api.settings.upstream import UpstreamConfig
from gateway.upstream import Sweep, Upstream, wire

CONCURRENT = 64
HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.24.0\r\nDate: Sun, 22 Nov 2026 23:00:00 GMT\r\nContent-Type: application/json\r\n"
    b'Content-Length: 1300\r\nConnection: keep-alive\r\nETag: "abcdef"\r\nX-Served-By: a\r\nCache-Control: no-cache\r\n\r\n'
)
ANSWER = HEAD + b"x" * 1300
FIELDS = Headers(
    [
        (b"host", b"api.example"),
        (b"user-agent", b"hey/0.0.1"),
        (b"accept", b"*/*"),
        (b"accept-encoding", b"gzip"),
        (b"x-request-id", b"0123456789abcdef"),
        (b"traceparent", b"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"),
        (b"x-forwarded-for", b"127.0.0.1"),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-host", b"localhost:8080"),
    ]
)
REQUEST = wire.write_head("GET", b"/orders/17?expand=lines", b"127.0.0.1:8080", FIELDS, b"")


class Answering(asyncio.Protocol):
    """The upstream: every request arrives in one piece and gets the same answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(ANSWER)


def serve(listener: socket.socket) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Answering, sock=listener)
        await server.serve_forever()

    uvloop.run(run())


class Bare(asyncio.Protocol):
    """What no client can avoid."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.loop = asyncio.get_running_loop()

    def send(self) -> asyncio.Future[bytes]:
        self.answer = self.loop.create_future()
        self.transport.write(REQUEST)
        return self.answer

    def data_received(self, data: bytes) -> None:
        self.answer.set_result(data)


async def measure(name: str, requests: int, lanes: list[Callable[[], Awaitable[object]]]) -> float:
    async def lane(send: Callable[[], Awaitable[object]], count: int) -> None:
        for _ in range(count):
            await send()

    await asyncio.gather(*(lane(send, 20) for send in lanes))
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        await asyncio.gather(*(lane(send, requests // len(lanes) // 5) for send in lanes))
        best = min(best, (time.process_time() - started) / (requests // len(lanes) // 5 * len(lanes)) * 1e6)
    print(f"{name:<46}{best:8.2f} µs")
    return best


async def whole(port: int, requests: int) -> None:
    loop = asyncio.get_running_loop()
    bare = []
    for _ in range(CONCURRENT):
        _, protocol = await loop.create_connection(Bare, "127.0.0.1", port)
        bare.append(protocol)
    upstream = Upstream("micro", UpstreamConfig.model_validate({"targets": [f"http://127.0.0.1:{port}"]}), Sweep(loop))

    def slow(abort: Abort) -> None:
        """As the edge gives one with each request; on a busy machine some calls do take 100 ms."""

    request = UpstreamRequest("GET", b"/orders/17?expand=lines", FIELDS, None, slow)

    async def call() -> None:
        response = await upstream.send(request, loop.time() + 10, replayable=True)
        assert len(response.body) == 1300

    async def bare_call(protocol: Bare) -> None:
        assert await protocol.send()

    for _ in range(2):
        floor = await measure("bare sockets", requests, [lambda each=each: bare_call(each) for each in bare])
        cost = await measure("upstream client", requests, [call] * CONCURRENT)
        print(f"{'  of which the client':<46}{cost - floor:8.2f} µs")
    upstream.close()


def piece(name: str, work: Callable[[], object], count: int = 20_000) -> None:
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        for _ in range(count):
            work()
        best = min(best, (time.process_time() - started) / count * 1e6)
    print(f"{name:<46}{best:8.2f} µs")


class Collecting:
    """The least that httptools needs to give the same fields."""

    def __init__(self) -> None:
        self.headers = Headers()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))


def by_httptools() -> None:
    parser = httptools.HttpResponseParser(Collecting())
    parser.feed_data(ANSWER)
    parser.get_status_code()
    parser.should_keep_alive()


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("requests", nargs="?", type=int, default=100_000)
    options.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    chosen = options.parse_args()
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        peer = multiprocessing.get_context("fork").Process(target=serve, args=(listener,), daemon=True)
        peer.start()
        gc.freeze()  # as a worker does
        gc.set_threshold(50_000, 20, 100)
        run = uvloop.run if chosen.loop == "uvloop" else asyncio.run
        run(whole(listener.getsockname()[1], chosen.requests))
        peer.terminate()
        peer.join()
    head = HEAD[:-4]
    piece("read a head of nine fields", lambda: wire.read_head(head, False))
    piece("the same by httptools, less strictly", by_httptools)
    piece("write a head of nine fields", lambda: wire.write_head("GET", b"/orders/17", b"127.0.0.1:8080", FIELDS, b""))


if __name__ == "__main__":
    main()
