"""The control plane's client ends every question, whatever the other side does."""

from __future__ import annotations

import asyncio

import pytest

from gateway.runtime.fetch import HttpFetch


def test_an_answer_that_comes_octet_by_octet_ends_in_time() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        try:
            for _ in range(1000):
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        fetch = HttpFetch()
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
        try:
            async with asyncio.timeout(10):
                with pytest.raises(OSError, match="no whole answer within"):
                    await fetch(url, timeout_s=0.3)
        finally:
            await fetch.close()
            server.close()

    asyncio.run(run())
