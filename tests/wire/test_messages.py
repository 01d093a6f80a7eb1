"""JSON in front of records over TCP, on both servers: answers, return codes, what goes wrong and whose fault it is."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.testing.upstream import Peer, Script
from tests.wire.plays import Server, Stage, holds, perform

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
