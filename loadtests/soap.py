"""What SOAP costs: a call with 20 elements each way, an answer of 1 MB, other requests beside it, a WSDL of 5 MB.

    python loadtests/soap.py [--seconds 4] [--rounds 10] [--record]

`sluicegate serve` with one worker in front of a server that answers with prepared envelopes. The same envelopes, and as many octets, pass
through a plain route for comparison; cost is processor time of the whole process tree. Waits are those of small requests to the plain route, one
every 10 ms, alone and while one answer of 5,000 rows follows the other, and while a route with the WSDL of 5 MB (2,000 types, 500 operations) is
loaded. --record writes loadtests/results/soap.txt. Takes a minute and a half.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from machine import record
from processes import cpu_and_rss
from soap_messages import ANSWERS, BOOK, LISTED, ROWS, large_wsdl, texts, wsdl
from stream import wait_port

PORT, OPS_PORT = 18_781, 18_782
Send = Callable[[], Awaitable[object]]


async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"(?i)content-length: (\d+)", head)
            body = await reader.readexactly(int(found[1])) if found else b""
            answer = LISTED if b"List" in body or b"/list" in head else ANSWERS[b"<Book "]
            if b"/small" in head:
                answer = b"{}"
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        writer.close()


class Caller:
    """One kept connection."""

    async def open(self) -> Caller:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", PORT, limit=1 << 24)
        return self

    async def call(self, path: str, body: bytes, kind: str) -> bytes:
        head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"(?i)content-length: (\d+)", answer)
        got = await self.reader.readexactly(int(found[1])) if found else b""
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer + got[:500])
        return got


def configure(folder: Path, upstream: str, *, large: bool = False) -> None:
    def route(name: str, path: str, **more: object) -> dict[str, object]:
        return {"name": name, "match": {"path": path}, "public": True, "upstream": "backend", **more}

    def soap(operation: str, file: str = "bench.wsdl") -> dict[str, object]:
        return {"adapter": {"soap": {"wsdl": file, "operation": operation}}}

    routes = [
        route("mapped", "/mapped", **soap("Book")),
        route("list", "/rows", **soap("List")),
        route("plain", "/**", policies={"request_size": {"max": "1MiB"}}),
    ]
    if large:
        routes += [route(f"large{n}", f"/large{n}", **soap(f"Operation{n}", "large.wsdl")) for n in range(500)]
    document = {
        "version": 1,
        "listen": {"host": "127.0.0.1", "port": PORT},
        "ops": {"port": OPS_PORT},
        "log": {"access": "off", "level": "error"},
        "upstreams": {"backend": {"targets": [upstream]}},
        "routes": routes,
    }
    (folder / "gateway.yaml").write_text(json.dumps(document))


async def per_call(pid: int, path: str, body: bytes, kind: str, seconds: float, connections: int = 16) -> float:
    """Processor seconds of the gateway for each call."""
    callers = await asyncio.gather(*(Caller().open() for _ in range(connections)))
    until = time.monotonic() + seconds
    done = 0

    async def run(caller: Caller) -> None:
        nonlocal done
        while time.monotonic() < until:
            await caller.call(path, body, kind)
            done += 1

    before = cpu_and_rss(pid)[0]
    await asyncio.gather(*map(run, callers))
    for caller in callers:
        caller.writer.close()
    return (cpu_and_rss(pid)[0] - before) / done


async def waits(while_running: Awaitable[object]) -> list[float]:
    """Milliseconds that small requests take, one every 10 ms, sorted."""
    caller = await Caller().open()
    work = asyncio.ensure_future(while_running)
    found: list[float] = []
    due = time.monotonic()
    while not work.done():
        started = time.monotonic()
        await caller.call("/small", b"{}", "application/json")
        found.append(1000 * (time.monotonic() - started))
        due += 0.01
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    await work
    return sorted(found)


async def repeated(seconds: float) -> None:
    caller = await Caller().open()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await caller.call("/rows", b'{"n": 1}', "application/json")


async def reload() -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", OPS_PORT)
    writer.write(b"POST /reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer[:1000])


def shown(found: list[float]) -> str:
    return f"p50 {found[len(found) // 2]:5.1f}  p99 {found[int(len(found) * 0.99)]:5.1f}  most {found[-1]:5.1f} ms  ({len(found)} requests)"


async def run(seconds: float, rounds: int) -> list[str]:
    rows: list[str] = []
    with tempfile.TemporaryDirectory(prefix="sluicegate-") as name:
        folder = Path(name)
        server = await asyncio.start_server(backend, "127.0.0.1", 0, limit=1 << 24)
        upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        (folder / "bench.wsdl").write_text(wsdl())
        (folder / "large.wsdl").write_text(large_wsdl())
        configure(folder, upstream)
        command = [
            str(Path(sys.executable).parent / "sluicegate"),
            "serve",
            "--config",
            name,
            "--state",
            f"{name}-state",
        ]
        process = await asyncio.create_subprocess_exec(*command)
        try:
            await wait_port(PORT)
            book = json.dumps(texts()).encode()
            await per_call(process.pid, "/mapped", book, "application/json", 0.5)
            cost: dict[str, list[float]] = {"passed": [], "mapped": []}
            for _ in range(rounds):
                cost["passed"].append(await per_call(process.pid, "/any", BOOK, "text/xml", seconds / 2))
                cost["mapped"].append(await per_call(process.pid, "/mapped", book, "application/json", seconds / 2))
            rows.append("20 elements each way, processor time of a call (aim: 250 µs more)")
            for what, of in (("least of the rounds", min), ("their median", statistics.median)):
                passed, mapped = (1e6 * of(found) for found in cost.values())
                rows.append(
                    f"  {what:<20} passed through {passed:6.0f} µs   mapped {mapped:6.0f} µs   more {mapped - passed:6.0f} µs"
                )
            through = await per_call(process.pid, "/list", b"<n>1</n>", "text/xml", seconds, 1)
            read = await per_call(process.pid, "/rows", b'{"n": 1}', "application/json", seconds, 1)
            rows.append(f"an answer of {len(LISTED) / 1e6:.1f} MB, {ROWS} rows, processor time of a call (aim: 250 ms)")
            rows.append(f"  passed through {1000 * through:6.1f} ms   mapped {1000 * read:6.1f} ms")
            rows.append("small requests, one every 10 ms (aim: at most 20 ms more beside the long answers)")
            rows.append(f"  alone                     {shown(await waits(asyncio.sleep(2 * seconds)))}")
            rows.append(f"  beside such answers       {shown(await waits(repeated(2 * seconds)))}")
            configure(folder, upstream, large=True)
            started = time.monotonic()
            rows.append(f"  while the large WSDL loads {shown(await waits(reload()))}")
            size = (folder / "large.wsdl").stat().st_size / 1e6
            rows.append(
                f"reload with a WSDL of {size:.1f} MB, 500 routes of it: {time.monotonic() - started:.1f} s (aim: 10 s)"
            )
        finally:
            process.send_signal(signal.SIGINT)
            await process.wait()
            server.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--record", action="store_true", help="write loadtests/results/soap.txt")
    options = parser.parse_args()
    table = "\n".join(asyncio.run(run(options.seconds, options.rounds)))
    print(table)
    if options.record:
        record("soap.txt", table)


if __name__ == "__main__":
    main()
