"""Requests leave at the end of a turn, in order; what ends before has sent nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from gateway.upstream.outbox import Outbox
from tests.unit.upstream.test_connection import Scene


class Letter:
    def __init__(self, sent: list[str], name: str) -> None:
        self.sent = sent
        self.name = name

    def flush(self) -> None:
        self.sent.append(self.name)


def test_what_is_put_in_one_turn_leaves_together_in_order_once_the_turn_is_over() -> None:
    sent: list[str] = []

    async def play() -> None:
        loop = asyncio.get_running_loop()
        outbox = Outbox(loop)
        outbox.put(Letter(sent, "first"))
        loop.call_soon(sent.append, "other work")
        outbox.put(Letter(sent, "second"))
        assert sent == []
        await asyncio.sleep(0)
        assert sent == ["first", "second", "other work"]
        outbox.put(Letter(sent, "third"))
        await asyncio.sleep(0)

    asyncio.run(play())
    assert sent == ["first", "second", "other work", "third"]


@pytest.fixture
def unsent() -> Iterator[Scene]:
    made = Scene("POST", written=False)
    yield made
    made.close()


def test_a_connection_that_ends_before_the_turn_does_has_sent_nothing(unsent: Scene) -> None:
    unsent.connection.connection_lost(None)
    unsent.connection.flush()
    assert unsent.fault().sent is False
    assert unsent.wire.written == b""


def test_a_caller_who_leaves_in_the_same_turn_costs_the_upstream_nothing(unsent: Scene) -> None:
    unsent.connection.leave(unsent.answer)
    unsent.connection.flush()
    assert unsent.wire.aborted
    assert unsent.wire.written == b""


def test_a_message_is_written_once(unsent: Scene) -> None:
    unsent.connection.flush()
    unsent.connection.flush()
    assert unsent.wire.written == b"request"
