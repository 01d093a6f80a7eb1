#!/usr/bin/env python3
"""An upstream that misbehaves as its path says. Run by chaos.py: `chaos_upstream.py PORT EXECUTED [--idle SECONDS]`.

EXECUTED is a file: the value of `x-call` of each request that was executed is added to it, a line each, before the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import socket
import struct

import uvloop

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CALL = re.compile(rb"\r\nx-call: *([^\r]+)", re.IGNORECASE)
BODY = b'{"ok":true}'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Connection(asyncio.Protocol):
    def __init__(self, executed: int, idle_s: float | None) -> None:
        self.executed = executed
        self.idle_s = idle_s
        self.timer: asyncio.TimerHandle | None = None
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.rest()

    def rest(self) -> None:
        if self.idle_s is not None:
            self.timer = asyncio.get_running_loop().call_later(self.idle_s, self.transport.close)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not end or len(rest) < (int(length[1]) if length else 0):
            return
        self.buffer = b""
        if self.timer is not None:
            self.timer.cancel()
        call = CALL.search(head)
        if call:
            os.write(self.executed, call[1] + b"\n")
        how = head.split(b" ", 2)[1].rsplit(b"/", 1)[-1].decode()
        self.answering = asyncio.ensure_future(self.answer(how))

    async def answer(self, how: str) -> None:
        def write(data: bytes) -> None:
            if not self.transport.is_closing():
                self.transport.write(data)

        match how:
            case "ok":
                await asyncio.sleep(random.random() * 0.002)
                write(OK)
                self.rest()
            case "hang":
                pass
            case "reset-before-head":
                self.reset()
            case "reset-in-head":
                write(OK[:20])
                await asyncio.sleep(0.02)
                self.reset()
            case "reset-after-head":
                write(OK[:-5])
                await asyncio.sleep(0.02)
                self.reset()
            case "truncated-body":
                write(OK[:-5])
                self.transport.close()
            case "garbage":
                write(b"\x16\x03\x01 what is this\r\n\r\n")
            case "slow-first-byte":
                await asyncio.sleep(0.5)
                write(OK)
                self.rest()
            case "slow-trickle":
                for octet in OK:
                    write(bytes((octet,)))
                    await asyncio.sleep(0.005)
                self.rest()
            case "busy":
                write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
                self.rest()

    def reset(self) -> None:
        raw = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("executed")
    parser.add_argument("--idle", type=float)
    arguments = parser.parse_args()
    executed = os.open(arguments.executed, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(executed, arguments.idle), "127.0.0.1", arguments.port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
