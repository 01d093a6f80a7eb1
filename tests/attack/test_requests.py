"""Raw requests that are wrong, odd or hostile: each is refused, or what is left of it is one sound request upstream.

The table is tests/attack/raw_requests.py; docs/servers.md tells in words what each server decides.
"""

from __future__ import annotations

import pytest

from gateway.testing.upstream import Peer, ok
from tests.attack.raw_requests import TABLE
from tests.wire.plays import Answer, Broken, Caller, Server, Stage, perform
from tests.wire.test_data_path import dechunked

NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"


async def answering_all(peer: Peer) -> None:
    while True:
        whole = await peer.request()
        await peer.send(ok(b"SEEN:" + dechunked(whole)))


async def answers_to(caller: Caller, raw: bytes) -> list[Answer]:
    """All answers on a connection that says `raw`, and then, unless it was told not to, asks for /next."""
    method = "HEAD" if raw.startswith(b"HEAD") else "GET"
    answers: list[Answer] = []
    await caller.send(raw)
    try:
        while not answers or not (answers[-1].ends_connection or answers[-1].body.startswith(b"SEEN:GET /next ")):
            answers.append(await caller.answer(method, check=False))
            if len(answers) == 1 and not answers[0].ends_connection:
                await caller.send(NEXT)
            method = "GET"
    except Broken:
        pass
    assert await caller.rest() == b"" if not answers or answers[-1].ends_connection else True, "nothing after the end"
    return answers


async def outcome_of(stage: Stage, raw: bytes) -> str:
    """As in the table: `400`, `closed`, or what the upstream saw as whole requests."""
    caller = await stage.caller()
    answers = await answers_to(caller, raw)
    caller.close()
    outcomes = [told(answer) for answer in answers]
    return " | ".join(one for one in outcomes if one != "GET /next") or "closed"


def told(answer: Answer) -> str:
    if answer.status != 200:
        assert b"SEEN" not in answer.body
        return str(answer.status)
    if not answer.body:
        return "HEAD"
    head, _, content = answer.body.removeprefix(b"SEEN:").partition(b"\r\n\r\n")
    framing = [line for line in head.split(b"\r\n") if line.startswith((b"content-length:", b"transfer-encoding:"))]
    assert framing in ([], [b"content-length: %d" % len(content)], [b"transfer-encoding: chunked"]), "one framing, ours"
    line = head.split(b" HTTP/1.1\r\n")[0]
    return (line + b" " + content).decode("latin-1").strip()


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
@pytest.mark.parametrize("name", TABLE)
def test_raw_request(server: Server, name: str) -> None:
    raw, outcomes = TABLE[name]

    async def scene(stage: Stage) -> None:
        assert await outcome_of(stage, raw) == outcomes[server]

    perform(server, scene, answering_all)


def test_the_table_is_long_enough_and_keeps_what_was_decided() -> None:
    assert len(TABLE) >= 60
    for name, (raw, outcomes) in TABLE.items():
        head = raw.split(b"\r\n\r\n")[0]
        if b"\0" in head or b"\r\n " in head or b"\r\n\t" in head:
            assert {outcome.split(" | ")[0] for outcome in outcomes.values()} <= {"400", "closed"}, name
