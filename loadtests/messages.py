"""What a JSON call to a fixed-width system over TCP costs beside the same JSON passed through over HTTP; memory of bulk routes.

    python loadtests/messages.py [--requests 4000] [--rounds 25] [--bulk 500000] [--record]

`sluicegate serve` with one worker on Granian. Both routes POST the same JSON of 25 fields: one to an upstream that echoes HTTP bodies, one through `fixed_width`
(copybooks/account.cpy, 200 bytes each way, LLZZ) to an upstream that echoes messages. Rounds alternate; processor time is that of the gateway's whole process
tree for each request, the least of all rounds: they are short, so that some find the machine quiet; beside it the median of what a round cost more
than its own over HTTP. Then --bulk lines go through a `bulk` route to an HTTP upstream, and as many records come back as lines; growth is the
highest resident size meanwhile less that before. --record writes loadtests/results/messages.txt.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import random
import shutil
import signal
import statistics
import sys
import tempfile
from pathlib import Path

import uvloop
from fixed_width import HERE, value_of
from machine import record
from processes import cpu_and_rss
from stream import measured, wait_port

from adapters.fixed_width.codec.jsontext import dumps
from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.options import Options
from adapters.fixed_width.reading import read_layout

PORT = 9221
CALLERS = 32

CONFIG = """\
version: 1
listen: {{host: 127.0.0.1, port: {port}}}
ops: {{port: {ops_port}}}
log: {{access: {folder}/access.log}}
upstreams:
  web: {{targets: ["http://127.0.0.1:{http}"]}}
  mainframe:
    targets: ["tcp://127.0.0.1:{tcp}"]
    framing: {{length_prefix: 2, counts_itself: true, extra: 2}}
  files: {{targets: ["http://127.0.0.1:{records}"], timeout: {{first_byte: 10m, idle: 10m}}}}
routes:
  - name: bulk
    match: {{path: /bulk}}
    upstream: files
    public: true
    policies: {{timeout: {{total: 10m, attempt: 10m}}}}
    adapter: {{fixed_width: {{request: {{copybook: account.cpy}}, response: {{copybook: account.cpy}}, bulk: true}}}}
  - {{name: http, match: {{path: /http}}, upstream: web, public: true}}
  - name: tcp
    match: {{path: /tcp}}
    upstream: mainframe
    public: true
    adapter: {{fixed_width: {{request: {{copybook: account.cpy}}, response: {{copybook: account.cpy}}}}}}
  - name: shared
    match: {{path: /shared}}
    upstream: mainframe
    public: true
    adapter:
      fixed_width:
        request: {{copybook: account.cpy}}
        response: {{copybook: account.cpy}}
        correlation: {{request: ACCOUNT-NUMBER, response: ACCOUNT-NUMBER}}
"""


async def echo_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
            body = await reader.readexactly(length)
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length + body
            )
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def echo_messages(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except ConnectionError:
        pass
    writer.close()


async def echo_records(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes a chunked body of records, then answers as many, the first of them again and again."""
    try:
        await reader.readuntil(b"\r\n\r\n")
        first, octets = b"", 0
        while size := int((await reader.readuntil(b"\r\n"))[:-2], 16):
            piece = await reader.readexactly(size + 2)
            first, octets = first or piece[:200], octets + size
        await reader.readexactly(2)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % octets)
        for _ in range(octets // 200_000):
            writer.write(first * 1000)
            await writer.drain()
        writer.write(first * (octets % 200_000 // 200))
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()


async def bulk(bodies: list[bytes], lines: int) -> int:
    """Send so many lines; the number that came back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(
        b"POST /bulk HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    piece = b"\n".join(bodies) + b"\n"
    for _ in range(lines // len(bodies)):
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    came, tail = 0, b""
    while not tail.endswith(b"0\r\n\r\n"):
        data = await reader.read(1 << 20)
        assert data, "the answer broke off"
        came += data.count(b"}\n")
        tail = (tail + data)[-5:]
    writer.close()
    return came


async def call(path: str, bodies: list[bytes], requests: int) -> None:
    """`requests` calls by CALLERS, one after the other on kept connections."""

    async def caller(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        for each in range(requests // CALLERS):
            body = bodies[(number + each * CALLERS) % len(bodies)]
            writer.write(
                b"POST %b HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                % (path.encode(), len(body))
                + body
            )
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert head.startswith(b"http/1.1 200"), head
            await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r")[0]))
        writer.close()

    await asyncio.gather(*(caller(number) for number in range(CALLERS)))


async def run(requests: int, rounds: int, lines: int) -> list[str]:
    codec = RecordCodec(read_layout(HERE / "copybooks" / "account.cpy"), Options())
    draw = random.Random(11)
    raw = b"".join(codec.write(value_of(codec.layout.records[0], draw) for _ in range(1000)))
    bodies = [dumps(value) for value in codec.read(io.BytesIO(raw))]
    http = await asyncio.start_server(echo_http, "127.0.0.1", 0)
    tcp = await asyncio.start_server(echo_messages, "127.0.0.1", 0)
    records = await asyncio.start_server(echo_records, "127.0.0.1", 0, limit=1 << 20)
    ports = [server.sockets[0].getsockname()[1] for server in (http, tcp, records)]
    costs: dict[str, list[float]] = {"/http": [], "/tcp": [], "/shared": []}
    with tempfile.TemporaryDirectory(prefix="sluicegate-") as name:
        folder = Path(name) / "config"
        folder.mkdir()
        shutil.copy(HERE / "copybooks" / "account.cpy", folder)
        text = CONFIG.format(
            port=PORT, ops_port=PORT + 1000, folder=name, http=ports[0], tcp=ports[1], records=ports[2]
        )
        (folder / "gateway.yaml").write_text(text)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "from gateway.cli import main; main()", "serve", "--config", str(folder),
            "--server", "granian", "--state", f"{name}/state", stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await wait_port(PORT)
            for path in costs:
                await call(path, bodies, 2000)
            for _ in range(rounds):
                for path, seen in costs.items():
                    before = cpu_and_rss(process.pid)[0]
                    await call(path, bodies, requests)
                    seen.append((cpu_and_rss(process.pid)[0] - before) / requests * 1e6)
            await bulk(bodies, 10_000)
            came, seconds, cpu, growth = await measured(process.pid, asyncio.ensure_future(bulk(bodies, lines)))
            assert came == lines // len(bodies) * len(bodies), f"{came} of {lines} lines came back"
        finally:
            process.send_signal(signal.SIGINT)
            await process.wait()
    for server in (http, tcp, records):
        server.close()
    told = {
        "/http": "JSON passed through over HTTP",
        "/tcp": "JSON to a record over TCP and back",
        "/shared": "the same on shared connections (correlation)",
    }
    rows = [f"{'route':46}{'CPU µs':>8}{'more µs':>9}{'median':>8}"]
    for path, seen in costs.items():
        more = statistics.median(one - other for one, other in zip(seen, costs["/http"], strict=True))
        rows.append(f"{told[path]:46}{min(seen):>8.0f}{min(seen) - min(costs['/http']):>9.0f}{more:>8.0f}")
    return [
        *rows,
        "",
        f"bulk: {came:,} lines each way in {seconds:.0f} s, {cpu / came * 1e6:.0f} µs of CPU a line and record, memory grew by {growth:.1f} MiB",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--bulk", type=int, default=500_000)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    table = "\n".join(uvloop.run(run(arguments.requests, arguments.rounds, arguments.bulk)))
    print(table)
    if arguments.record:
        record("messages.txt", table)


if __name__ == "__main__":
    main()
