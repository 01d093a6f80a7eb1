"""Names: looked up once for many, again after a while, and the last good addresses while look-ups fail."""

from __future__ import annotations

import asyncio
import socket

import pytest

from gateway.testing.upstream import ScriptedUpstream, answering, ok
from gateway.upstream.resolve import Resolver


class Names:
    """A name server in place of the loop's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str] | OSError) -> None:
        self.answers = list(answers)
        self.asked = 0

        async def getaddrinfo(_loop, host, port, **_options):
            self.asked += 1
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, OSError):
                raise answer
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answer]

        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


def addresses(found) -> list[str]:
    return [address[0] for _, address in found]


def test_a_literal_address_is_never_looked_up(monkeypatch) -> None:
    names = Names(monkeypatch, OSError("asked"))

    async def scene() -> None:
        assert await Resolver("127.0.0.1", 80, 30.0).addresses(0.0) == ((socket.AF_INET, ("127.0.0.1", 80)),)
        assert await Resolver("::1", 80, 30.0).addresses(1e9) == ((socket.AF_INET6, ("::1", 80, 0, 0)),)

    asyncio.run(scene())
    assert names.asked == 0


def test_one_look_up_serves_all_who_wait(monkeypatch) -> None:
    names = Names(monkeypatch, ["192.0.2.1", "192.0.2.2", "192.0.2.1"])

    async def scene() -> None:
        resolver = Resolver("orders.internal", 80, 30.0)
        found = await asyncio.gather(*(resolver.addresses(100.0) for _ in range(5)))
        assert [addresses(each) for each in found] == [["192.0.2.1", "192.0.2.2"]] * 5
        assert addresses(await resolver.addresses(129.0)) == ["192.0.2.1", "192.0.2.2"]

    asyncio.run(scene())
    assert names.asked == 1


def test_old_addresses_serve_while_new_ones_are_looked_up(monkeypatch) -> None:
    Names(monkeypatch, ["192.0.2.1"], ["192.0.2.9"], OSError("no answer"))

    async def scene() -> None:
        resolver = Resolver("orders.internal", 80, 30.0)
        await resolver.addresses(100.0)
        assert addresses(await resolver.addresses(131.0)) == ["192.0.2.1"]
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not asyncio.current_task()))
        assert addresses(await resolver.addresses(132.0)) == ["192.0.2.9"]
        await resolver.addresses(170.0)  # fails: the last good ones stay
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not asyncio.current_task()))
        assert addresses(await resolver.addresses(171.0)) == ["192.0.2.9"]

    asyncio.run(scene())


def test_a_name_without_an_address_is_asked_for_again_by_the_next_call(monkeypatch) -> None:
    names = Names(monkeypatch, OSError("no such name"), ["192.0.2.1"])

    async def scene() -> None:
        resolver = Resolver("orders.internal", 80, 30.0)
        with pytest.raises(OSError, match="no such name"):
            await resolver.addresses(100.0)
        assert addresses(await resolver.addresses(100.1)) == ["192.0.2.1"]

    asyncio.run(scene())
    assert names.asked == 2


def test_all_addresses_are_tried(monkeypatch, caller_of) -> None:
    Names(monkeypatch, ["127.0.0.2", "127.0.0.3", "127.0.0.1"])  # only the last listens

    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as upstream:
            caller = caller_of(f"http://orders.internal:{upstream.port}")
            assert (await caller.call()).status == 200
            assert upstream.requests[0].startswith(b"GET / HTTP/1.1\r\nhost: orders.internal:")

    asyncio.run(scene())


def test_connections_to_addresses_that_are_gone_are_retired(monkeypatch, caller_of) -> None:
    Names(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])

    async def scene() -> None:
        async with ScriptedUpstream(answering(ok())) as upstream:
            caller = caller_of(f"http://orders.internal:{upstream.port}", dns={"refresh": "10ms"})
            await caller.call()
            await asyncio.wait_for(upstream.peers[0].ended.wait(), 5)

    asyncio.run(scene())
