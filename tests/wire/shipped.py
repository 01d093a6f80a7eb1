"""What stands around the configuration as shipped: an issuer, old and new upstreams of which some misbehave, a Redis."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import trustme

from gateway.demo.issuer import DemoClient, DemoIssuer
from gateway.http.client_cert import write_client_cert
from gateway.testing.tokens import shared_keys
from gateway.testing.upstream import Peer, Script, ScriptedUpstream
from loadtests.chaos_upstream import Connection
from tests.redis_servers import RedisServer
from tests.unit.upstream.http2_peer import Http2Peer, ended
from tests.wire.certificates import partner
from tests.wire.plays import Caller
from tests.wire.serving import BOUND_S, Serving, serve, watched
from tests.wire.test_authentication import serving as serving_issuer
from tests.wire.test_combined_adapters import ITEM, RESERVED, soap

ROOT = Path(__file__).parents[2]
KEY = "a key of the warehouse"
FAULTS = (
    *("reset-before-head", "reset-in-head", "reset-after-head", "truncated-body", "garbage", "busy"),
    *("slow-first-byte", "slow-trickle"),
)
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Orders(Connection):
    """Misbehaves as the end of a target says, and answers everything else."""

    streams: list[Orders]

    async def answer(self, how: str) -> None:
        if how == "events":
            self.transport.write(EVENTS)  # type: ignore[attr-defined]
            self.event(1)
            self.streams.append(self)
        else:
            await super().answer(how if how in (*FAULTS, "hang") else "ok")

    def event(self, number: int) -> None:
        line = b"data: %d\n\n" % number
        self.transport.write(b"%x\r\n%b\r\n" % (len(line), line))  # type: ignore[attr-defined]


@dataclass
class Shipped:
    """`serve` with `config/`, and what it talks to."""

    gateway: Serving
    folder: Path  # a copy of config/
    spool: Path
    redis: RedisServer
    issuer: DemoIssuer
    client: httpx.AsyncClient
    streams: list[Orders]
    certificate: str

    def token(self, client: str = "acme-prod") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.issuer.token(client)}"}

    async def caller(self) -> Caller:
        return Caller(*await asyncio.open_connection("127.0.0.1", self.gateway.port))

    async def reload(self) -> httpx.Response:
        return await self.client.post(f"http://127.0.0.1:{self.gateway.ops_port}/reload")

    async def metrics(self) -> str:
        return (await self.client.get(f"http://127.0.0.1:{self.gateway.ops_port}/metrics")).text

    async def until(self, status: int, method: str, path: str, **rest: object) -> httpx.Response:
        """The first answer with this status; it may take a while. Limits count these calls, too: not too many."""
        async with asyncio.timeout(BOUND_S):
            while (answer := await self.client.request(method, path, **rest)).status_code != status:  # type: ignore[arg-type]
                await asyncio.sleep(0.1)
        return answer


def idle_closed(script: Script) -> Script:
    """An upstream that closes what was idle for as long as a Peer waits: here calls are further apart than in a play."""

    async def closing(peer: Peer) -> None:
        with contextlib.suppress(TimeoutError):
            await script(peer)

    return closing


async def inventory(peer: Peer) -> None:
    while True:
        asked = await peer.request()
        await peer.send(soap(RESERVED if b"ReserveItem" in asked else ITEM.format("valve")))


def account(identifier: bytes) -> bytes:
    """ACCOUNT of copybooks/account.cpy, with a balance of 12.34."""
    return "00".encode("cp037") + identifier + bytes.fromhex("00000001234C")


async def mainframe(peer: Peer) -> None:
    while True:
        message = await peer.read()
        record = account(message[8:16])
        await peer.send((len(record) + 4).to_bytes(2, "big") + b"\0\0" + record)


async def ledger(peer: Peer) -> None:
    while True:
        record = account((await peer.request())[-34:-26])
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n"
        await peer.send(head % len(record) + record)


@asynccontextmanager
async def shipped(tmp: Path, redis: RedisServer, *, workers: int, server: str) -> AsyncIterator[Shipped]:
    folder, spool = tmp / "config", tmp / "spool"
    shutil.copytree(ROOT / "config", folder)
    spool.mkdir()
    clients = {name: DemoClient("s", ("orders:read", "orders:write")) for name in ("acme-prod", "rocket")}
    issuer = DemoIssuer("", "orders", clients, keys=shared_keys())
    streams: list[Orders] = []
    kind = type("Orders", (Orders,), {"streams": streams})
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving_issuer(issuer))
        executed = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, executed)
        ports = []
        for _ in range(2):
            orders = await loop.create_server(lambda: kind(executed, None), "127.0.0.1", 0)
            stack.callback(orders.close)
            ports.append(orders.sockets[0].getsockname()[1])
        stock, soap_server, tcp, http = [
            await stack.enter_async_context(ScriptedUpstream(idle_closed(script)))
            for script in (Http2Peer(ended(lambda peer, stream: peer.answer(stream))), inventory, mainframe, ledger)
        ]
        process = await serve(
            folder,
            workers,
            server,
            state=tmp / "state",
            PORT="0",
            OPS_PORT="0",
            DRAIN_DELAY="0s",
            STORE=f"{redis.url}?acks=0&timeout=1s",
            LOAD_BALANCER="127.0.0.1/32",
            PARTNERS_ISSUER=issuer.url,
            WAREHOUSE_KEY_SHA256=hashlib.sha256(KEY.encode()).hexdigest(),
            ORDERS_1=f"http://127.0.0.1:{ports[0]}",
            ORDERS_2=f"http://127.0.0.1:{ports[1]}",
            STOCK=stock.url,
            INVENTORY=soap_server.url,
            MAINFRAME=f"tcp://127.0.0.1:{tcp.port}",
            LEDGER=http.url,
            SPOOL=str(spool),
        )
        gateway = await stack.enter_async_context(watched(process, folder / "gateway.yaml"))
        client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{gateway.port}", trust_env=False, timeout=BOUND_S,
            limits=httpx.Limits(max_connections=200),
        )  # fmt: skip
        await stack.enter_async_context(client)
        certificate = write_client_cert(partner(trustme.CA(), "acme").der).decode()
        yield Shipped(gateway, folder, spool, redis, issuer, client, streams, certificate)
