"""Certificates are replaced under `sluicegate serve`, as ops do it, while callers are busy: nothing is lost, nothing broken is served."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme
import uvloop

from tests.wire.certificates import authority_file, partner, revoke, server_files, tls_caller, trusting
from tests.wire.plays import Broken
from tests.wire.serving import BOUND_S, ask

COMMAND = "from gateway.cli import main; main()"
GET = b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n"
SAYING = {"name": "all", "match": {"path": "/**"}, "public": True, "respond": {"body": "ok"}}


@dataclass
class Running:
    """A running `serve`."""

    port: int
    ops: int

    async def reload(self) -> tuple[int, str]:
        async with asyncio.timeout(BOUND_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.ops)
            writer.write(b"POST /reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            writer.close()
        return int(head.split()[1]), body.decode()


@contextlib.asynccontextmanager
async def serving(folder: Path, document: dict[str, object]) -> AsyncIterator[Running]:
    (folder / "gateway.yaml").write_text(json.dumps(document))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMMAND, "serve", "--config", str(folder), "--state", str(folder / "state")),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(2 * BOUND_S):
            async for line in process.stderr:
                message = json.loads(line)["message"]
                if message.startswith("serving "):
                    break
        port, ops = (int(found) for found in re.findall(r"https?://127\.0\.0\.1:(\d+)", message))
        drained = asyncio.ensure_future(process.stderr.read())
        yield Running(port, ops)
        process.terminate()
        async with asyncio.timeout(BOUND_S):
            await drained
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def document(tls: dict[str, object]) -> dict[str, object]:
    return {
        "version": 1,
        "listen": {"host": "127.0.0.1", "port": 0, "tls": tls},
        "ops": {"port": 0},
        "drain": {"delay": "0s", "timeout": "5s"},
        "log": {"access": "off"},
        "routes": [SAYING],
    }


@dataclass
class Busy:
    """Asks again and again on a kept connection, on a new one when told so, and remembers whose certificate it was shown."""

    port: int
    context: ssl.SSLContext
    shown: list[bytes] = field(default_factory=list)
    lost: list[BaseException] = field(default_factory=list)
    answered: int = 0
    ending: bool = False

    async def run(self) -> None:
        try:
            while not self.ending:
                caller = await tls_caller(self.port, self.context)
                secured: ssl.SSLObject = caller.writer.get_extra_info("ssl_object")
                self.shown.append(secured.getpeercert(True) or b"")
                ends = False
                while not ends and not self.ending:
                    await caller.send(GET)
                    answer = await caller.answer()
                    assert answer.status == 200
                    self.answered += 1
                    ends = answer.ends_connection
                caller.writer.transport.abort()
        except (Broken, OSError) as lost:
            self.lost.append(lost)


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_a_new_certificate_loses_no_request(server: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    files = server_files(tmp_path, authority, "api.example")

    async def play() -> None:
        configuration = document({"certificates": [files]})
        configuration["listen"]["server"] = server  # type: ignore[index]  # the mapping above
        async with serving(tmp_path, configuration) as running:
            callers = [Busy(running.port, trusting(authority)) for _ in range(4)]
            tasks = [asyncio.ensure_future(one.run()) for one in callers]

            def counted() -> list[tuple[int, int]]:
                return [(len(one.shown), one.answered) for one in callers]

            async def more(marks: list[tuple[int, int]]) -> None:
                """Each caller has had another connection and more answers since then, or lost something."""
                async with asyncio.timeout(BOUND_S):
                    while any(
                        not one.lost and (len(one.shown) <= shown or one.answered < answered + 20)
                        for one, (shown, answered) in zip(callers, marks, strict=True)
                    ):
                        await ask(running.ops, "/healthz")

            async with asyncio.timeout(BOUND_S):
                while not all(one.shown for one in callers):
                    await ask(running.ops, "/healthz")
            key = (tmp_path / files["key"]).read_bytes()
            for number in range(2):
                server_files(tmp_path, authority, "api.example")
                new_key = (tmp_path / files["key"]).read_bytes()
                (tmp_path / files["key"]).write_bytes(key)  # the certificate is there, its key not yet
                status, said = await running.reload()
                assert (status, "is not that of the certificate" in said) == (422, True)
                (tmp_path / files["key"]).write_bytes(key := new_key)
                before = counted()
                assert (await running.reload())[0] == 200
                await more(before)
                newest = ssl.PEM_cert_to_DER_cert((tmp_path / files["cert"]).read_text())
                assert {one.shown[-1] for one in callers} == {newest}, number
            for one in callers:
                one.ending = True
            await asyncio.gather(*tasks)
            assert [one.lost for one in callers if one.lost] == []

    uvloop.run(play())


def test_a_certificate_is_revoked_while_it_is_in_use(tmp_path: Path) -> None:
    authority = trustme.CA()
    good, bad = partner(authority, "good"), partner(authority, "bad")
    tls: dict[str, object] = {
        "certificates": [server_files(tmp_path, authority, "api.example")],
        "client_cert": "required",
        "client_ca": authority_file(tmp_path, authority),
        "client_crl": revoke(tmp_path, authority, []),
    }

    async def play() -> None:
        async with serving(tmp_path, document(tls)) as running:

            async def passes(context: ssl.SSLContext) -> bool:
                try:
                    caller = await tls_caller(running.port, context)
                except OSError:
                    return False
                try:
                    await caller.send(GET)
                    return (await caller.answer()).status == 200
                except Broken:
                    return False
                finally:
                    caller.writer.transport.abort()

            kept = trusting(authority, bad)  # whose session could be resumed
            assert [await passes(trusting(authority, good)), await passes(kept)] == [True, True]
            revoke(tmp_path, authority, [bad])
            assert (await running.reload())[0] == 200
            assert [await passes(trusting(authority, good)), await passes(kept)] == [True, False]

    uvloop.run(play())
