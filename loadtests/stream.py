"""A body of 1 GiB each way through one connection: how far the gateway's memory grows, and at what rate it flows.

    python loadtests/stream.py [--octets 1073741824] [--record]

`sluicegate serve` with one worker, on Granian and on uvicorn. Memory is the resident size of the whole process tree, looked at
every 50 ms; growth is its highest value during a transfer less its value before. --record writes loadtests/results/stream.txt.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path

import configurations
from machine import record
from processes import cpu_and_rss

PIECE = bytes(256 * 1024)
PORTS = {"granian": 9211, "uvicorn": 9212}


async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """GET /orders/N answers N octets; POST reads its chunked body and answers how many octets came."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET"):
                left = int(head.split(b" ")[1].rsplit(b"/", 1)[1])
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % left
                )
                while left:
                    piece = PIECE[:left]
                    writer.write(piece)
                    left -= len(piece)
                    await writer.drain()
            else:
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                left = octets = int(length.split(b":")[1])
                while left:
                    left -= len(await reader.read(min(left, 1 << 20)))
                body = b"%d" % octets
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def download(port: int, octets: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /orders/%d HTTP/1.1\r\nHost: bench\r\n\r\n" % octets)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    got = 0
    while got < octets and (piece := await reader.read(1 << 20)):
        got += len(piece)
    writer.close()
    return got


async def upload(port: int, octets: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /orders/1 HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n" % octets)
    left = octets
    while left:
        piece = PIECE[:left]
        writer.write(piece)
        left -= len(piece)
        await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    body = await reader.read(64)
    writer.close()
    return int(body)


async def wait_port(port: int) -> None:
    for _ in range(300):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise RuntimeError(f"nothing listens on {port}")


async def measured(pid: int, transfer: asyncio.Task[int]) -> tuple[int, float, float, float]:
    """Octets, seconds, CPU seconds, growth in MiB."""
    cpu, before = cpu_and_rss(pid)
    highest, started = before, time.monotonic()
    while not transfer.done():
        await asyncio.wait({transfer}, timeout=0.05)
        highest = max(highest, cpu_and_rss(pid)[1])
    return transfer.result(), time.monotonic() - started, cpu_and_rss(pid)[0] - cpu, highest - before


async def run(octets: int) -> list[str]:
    server = await asyncio.start_server(upstream, "127.0.0.1", 0, limit=1 << 20)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    rows = [f"{'server':<10}{'direction':<11}{'MiB':>7}{'s':>7}{'MiB/s':>8}{'cpu s':>7}{'growth MiB':>12}"]
    with tempfile.TemporaryDirectory(prefix="sluicegate-") as folder:
        for name, port in PORTS.items():
            target = configurations.write("passthrough", Path(folder) / name, port, address)
            process = await asyncio.create_subprocess_exec(
                str(Path(sys.executable).parent / "sluicegate"), "serve", "--config", str(target), "--server", name,
                "--state", f"{folder}/{name}-state", stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            try:
                await wait_port(port)
                await download(port, 1 << 20)
                for direction, transfer in (("download", download), ("upload", upload)):
                    got, seconds, cpu, growth = await measured(
                        process.pid, asyncio.ensure_future(transfer(port, octets))
                    )
                    assert got == octets, f"{direction}: {got} of {octets} octets arrived"
                    mebibytes = octets / 2**20
                    rows.append(
                        f"{name:<10}{direction:<11}{mebibytes:>7.0f}{seconds:>7.1f}{mebibytes / seconds:>8.0f}{cpu:>7.1f}{growth:>12.1f}"
                    )
            finally:
                process.send_signal(signal.SIGINT)
                await process.wait()
    server.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--octets", type=int, default=2**30)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    table = "\n".join(asyncio.run(run(arguments.octets)))
    print(table)
    if arguments.record:
        record("stream.txt", table)


if __name__ == "__main__":
    main()
