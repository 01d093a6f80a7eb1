"""JSON in front of records over TCP, on both servers: answers, return codes, what goes wrong and whose fault it is."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.testing.upstream import Peer, Script
from tests.wire.plays import Broken, Server, Stage, holds, perform

COPYBOOK = """\
       01  MESSAGE-RECORD.
           05  CODE-OF-RETURN   PIC 99.
           05  TICKET           PIC 9(6) COMP.
           05  AMOUNT           PIC S9(5)V99 COMP-3.
           05  REMARK           PIC X(10).
"""
LLZZ = {"length_prefix": 2, "counts_itself": True, "extra": 2}
SIZE = 4 + 2 + 4 + 4 + 10


def record(code: int, ticket: int, remark: str, amount: bytes = b"\x00\x01\x25\x0d") -> bytes:
    return f"{code:02d}".encode("cp037") + ticket.to_bytes(4, "big") + amount + remark.ljust(10).encode("cp037")


def framed(message: bytes) -> bytes:
    return (len(message) + 4).to_bytes(2, "big") + b"\0\0" + message


def post(remark: object = "hello", **more: Any) -> bytes:
    body = json.dumps({"code_of_return": 0, "ticket": 7, "amount": "-12.50", "remark": remark} | more).encode()
    head = f"POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def play(server: Server, tmp: Path, scene: Any, script: Script, policies: Any = None, **adapter: Any) -> None:
    (tmp / "message.cpy").write_text(COPYBOOK)
    side = {"copybook": str(tmp / "message.cpy")}
    fixed = {"request": side, "response": {**side, "errors": {"CODE-OF-RETURN": {"4": 404}}}, **adapter}
    route = {"name": "x", "match": {"path": "/x"}, "public": True, "upstream": "orders"}
    perform(
        server,
        scene,
        script,
        scheme="tcp",
        upstream={"framing": LLZZ, "timeout": {"first_byte": "300ms"}},
        routes=[{**route, "adapter": {"fixed_width": fixed}, "policies": policies or {}}],
    )


async def echo(peer: Peer) -> None:
    while True:
        await peer.send(await peer.read())


def test_json_out_and_in(server: Server, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        for remark in ("hello", "", "0123456789"):
            answer = await stage.ask(post(remark))
            assert answer.status == 200
            assert json.loads(answer.body) == {"code_of_return": 0, "ticket": 7, "amount": -12.5, "remark": remark}
        assert len(stage.upstream.peers) == 1

    play(server, tmp_path, scene, echo)


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        pytest.param(framed(record(4, 7, "none")), 404, "fixed_width.return-code", id="a return code"),
        pytest.param(b"\0\1\0\0", 502, "upstream.protocol", id="a length that lies"),
        pytest.param(framed(record(0, 7, "x")[:-1]), 502, "upstream.bad-answer", id="a short record"),
        pytest.param(framed(record(0, 7, "x", b"\x00\x01\x25\x02")), 502, "upstream.bad-answer", id="no sign"),
        pytest.param(b"", 504, "upstream.timeout", id="silence"),
    ],
)
def test_what_the_upstream_may_say(server: Server, tmp_path: Path, answer: bytes, status: int, code: str) -> None:
    async def says(peer: Peer) -> None:
        while True:
            await peer.read()
            if answer:
                await peer.send(answer)

    async def scene(stage: Stage) -> None:
        got = await stage.ask(post())
        assert (got.status, got.problem["code"]) == (status, code)

    play(server, tmp_path, scene, says)


def test_what_does_not_fit_the_record(server: Server, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        for raw, pointer in (
            (post("x" * 11), "/remark"),
            (post(amount=100_000), "/amount"),
            (post("\N{SNOWMAN}"), "/remark"),
            (post(unknown=1), "/unknown"),
        ):
            answer = await stage.ask(raw)
            assert (answer.status, answer.problem["pointer"]) == (422, pointer)
        assert not stage.upstream.peers, "nothing was written"

    play(server, tmp_path, scene, echo)


def test_a_breaker_opens_and_a_retry_tries_again(server: Server, tmp_path: Path) -> None:
    async def third_time(peer: Peer) -> None:
        data = await peer.read()
        if peer.number >= 2:
            await peer.send(data)
            await peer.gone()

    async def scene(stage: Stage) -> None:
        assert (await stage.ask(post())).status == 200
        assert len(stage.upstream.peers) == 3

    retry = {"retry": {"attempts": 3, "on": ["reset"], "backoff": "1ms"}}
    play(server, tmp_path, scene, third_time, retry, safe=True)

    async def ends(peer: Peer) -> None:
        await peer.read()

    async def opens(stage: Stage) -> None:
        answers = [await stage.ask(post()) for _ in range(4)]
        assert [answer.status for answer in answers] == [502, 502, 503, 503]
        assert len(stage.upstream.peers) == 2, "an open breaker lets nobody through"

    play(server, tmp_path, opens, ends, {"breaker": {"failures": 2}})


def test_answers_are_matched_by_correlation(server: Server, tmp_path: Path) -> None:
    """Forty callers, at most a few connections, answers backwards: each gets its own."""

    async def backwards(peer: Peer) -> None:
        data = b""
        while True:
            data += await peer.read()
            messages = [data[at : at + SIZE] for at in range(0, len(data), SIZE)]
            await peer.send(*reversed(messages))
            data = b""

    async def scene(stage: Stage) -> None:
        async def one(number: int) -> Any:
            answer = await stage.ask(post(f"caller {number}", ticket=None))
            return json.loads(answer.body)

        answers = await asyncio.gather(*(one(number) for number in range(40)))
        assert [answer["remark"] for answer in answers] == [f"caller {number}" for number in range(40)]
        assert len({answer["ticket"] for answer in answers}) == 40
        assert len(stage.upstream.peers) <= 4
        await holds(lambda: stage.plane.in_flight() == 0)

    correlation = {"request": "TICKET", "response": "TICKET"}
    play(server, tmp_path, scene, backwards, correlation=correlation)


# --- bulk, over HTTP and in folders


def bulk(tmp: Path, scheme: str | None) -> dict[str, Any]:
    (tmp / "message.cpy").write_text(COPYBOOK)
    side = {"copybook": str(tmp / "message.cpy")}
    route = {"name": "x", "match": {"path": "/x"}, "public": True, "upstream": "orders"}
    adapter = {"fixed_width": {"request": side, "response": side, "bulk": True}}
    return {"routes": [{**route, "adapter": adapter}], "scheme": scheme}


def line(number: int) -> bytes:
    return b'{"code_of_return":0,"ticket":%d,"amount":-12.5,"remark":"r"}\n' % number


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


CHUNKED = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_bulk_streams_both_ways(server: Server, tmp_path: Path) -> None:
    """The upstream has the first records while the caller still sends, the caller the first lines while it still answers."""
    go_on = asyncio.Event()
    one = record(0, 1, "r")

    async def upstream(peer: Peer) -> None:
        await peer.head()
        while len(await peer.read()) < len(one):
            pass
        go_on.set()
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            data += await peer.read()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk(record(0, 1, "r") * 2000))
        go_on.clear()
        await go_on.wait()
        await peer.send(chunk(record(0, 2, "r")), b"0\r\n\r\n")

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(CHUNKED, chunk(line(1) * 2000))
        async with asyncio.timeout(10):
            await go_on.wait()
        await caller.send(chunk(line(2)), b"0\r\n\r\n")
        async with asyncio.timeout(10):
            assert await caller.head() == 200
            first = await caller.reader.readuntil(b"}\n")
        assert b'"ticket":1' in first
        go_on.set()
        rest = b""
        async with asyncio.timeout(10):
            while not rest.endswith(b"0\r\n\r\n"):
                rest += await caller.reader.read(65536)
        assert b'"ticket":2' in rest

    perform(server, scene, upstream, **bulk(tmp_path, None))


def test_a_bulk_line_that_does_not_fit(server: Server, tmp_path: Path) -> None:
    unfinished = []

    async def upstream(peer: Peer) -> None:
        await peer.head()
        try:
            while True:
                unfinished.append(await peer.read())
        except (EOFError, ConnectionError):
            unfinished.append(b"<end>")

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(CHUNKED, chunk(line(1) * 3), chunk(line(10**9)), b"0\r\n\r\n")
        answer = await caller.answer()
        assert (answer.status, answer.problem["pointer"]) == (422, "/ticket")
        assert answer.problem["detail"].startswith("record 4, MESSAGE-RECORD.TICKET at offset 2")
        await holds(lambda: not stage.upstream.peers or unfinished[-1:] == [b"<end>"])
        assert b"0\r\n\r\n" not in b"".join(unfinished)

    perform(server, scene, upstream, **bulk(tmp_path, None))


def test_files_out_and_in(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    drop = {"name": "ORD-{query.n}", "answers": "{file.name}.rsp", "poll": "10ms"}
    upstream = {"targets": [f"file://{folder}"], "drop": drop}

    def asked(method: str, number: str, body: bytes = b"") -> bytes:
        head = f"{method} /x?n={number} HTTP/1.1\r\nHost: a\r\n"
        if body:
            head += f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body

    async def scene(stage: Stage) -> None:
        call = asyncio.ensure_future(stage.ask(asked("POST", "1", line(1) + line(2))))
        await holds((folder / "ORD-1").exists)
        assert (folder / "ORD-1").read_bytes() == record(0, 1, "r") + record(0, 2, "r")
        (folder / "tmp").write_bytes(record(0, 3, "r"))
        (folder / "tmp").rename(folder / "ORD-1.rsp")
        answer = await call
        assert (answer.status, json.loads(answer.body)["ticket"]) == (200, 3)
        await holds(lambda: sorted(path.name for path in folder.iterdir()) == ["ORD-1"])

        again = await stage.ask(asked("POST", "1", line(1)))
        assert (again.status, again.problem["code"]) == (409, "drop.exists")
        sly = await stage.ask(asked("POST", "..%2Fevil", line(1)))
        assert (sly.status, sly.problem["code"]) == (422, "drop.name")
        wrong = await stage.ask(asked("POST", "2", line(1) + line(10**9)))
        assert wrong.status == 422
        # begins well or not, and ends in the middle of a record: 502, or cut off, and kept in any case
        for number, octets in (("5", b"\xff" * 7), ("6", record(0, 6, "r") * 9000 + b"\xf1")):
            (folder / f"ORD-{number}.rsp").write_bytes(octets)
            try:
                assert (await stage.ask(asked("GET", number))).status == 502
            except Broken:
                assert number == "6"
            (kept,) = folder.glob(f".ORD-{number}.rsp.*.rejected")
            assert kept.read_bytes() == octets
            kept.unlink()
        (folder / "ORD-7.rsp").write_bytes(record(0, 7, "r"))
        picked = await stage.ask(asked("GET", "7"))
        assert (picked.status, json.loads(picked.body)["ticket"]) == (200, 7)
        none = await stage.ask(asked("GET", "7"))
        assert (none.status, none.problem["code"]) == (404, "fixed_width.no-records")
        await holds(lambda: sorted(path.name for path in folder.iterdir()) == ["ORD-1"])

    arguments = bulk(tmp_path, None)
    perform(server, scene, upstream=upstream, **arguments)
