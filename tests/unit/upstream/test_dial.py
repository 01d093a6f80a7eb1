"""Happy eyeballs (RFC 8305): the order of addresses, and who wins a race of which some are slow or refuse."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from gateway.api.errors import Cause, UpstreamError
from gateway.testing.turns import until
from gateway.upstream import dial as dialling
from gateway.upstream.dial import dial, in_turn
from gateway.upstream.resolve import Address, Resolver

Play = Callable[[Callable[[], Awaitable[None]]], None]


def v4(number: int) -> Address:
    return socket.AF_INET, (f"10.0.0.{number}", 80)


def v6(number: int) -> Address:
    return socket.AF_INET6, (f"fd00::{number}", 80, 0, 0)


def test_families_by_turns_beginning_with_the_first() -> None:
    assert in_turn([v6(1), v6(2), v6(3), v4(1)], 0) == [v6(1), v4(1), v6(2), v6(3)]
    assert in_turn([v4(1), v6(1), v4(2)], 0) == [v4(1), v6(1), v4(2)]


def test_each_family_from_another_on_so_that_all_carry_load() -> None:
    assert in_turn([v4(1), v4(2), v4(3)], 1) == [v4(2), v4(3), v4(1)]
    assert in_turn([v6(1), v6(2), v4(1)], 3) == [v6(2), v4(1), v6(1)]
    assert in_turn([], 3) == []


class Network:
    """Stands for connecting: each address connects, refuses, or never answers until the race is over."""

    def __init__(self, **fates: str) -> None:
        self.fates = fates
        self.order: list[str] = []
        self.opened: list[socket.socket] = []
        self.cancelled: list[str] = []

    async def connect(self, loop: asyncio.AbstractEventLoop, address: Address) -> socket.socket:
        name = address[1][0]
        self.order.append(name)
        match self.fates[name]:
            case "refuses":
                raise ConnectionRefusedError(111, "Connection refused")
            case "hangs":
                try:
                    await loop.create_future()
                except asyncio.CancelledError:
                    self.cancelled.append(name)
                    raise
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.opened += [ours, theirs]
        return ours

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self.opened:
            each.close()


class Winner(asyncio.Protocol):
    def __init__(self, address: Address) -> None:
        self.address = address

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport


async def dialled(network: Network, names: list[str], monkeypatch: pytest.MonkeyPatch, within_s: float) -> str:
    """The name of the address that won."""
    monkeypatch.setattr(dialling, "_connect", network.connect)
    resolver = Resolver("127.0.0.1", 80, 30.0)
    resolver.known = tuple((socket.AF_INET, (name, 80)) for name in names)
    won = await dial("orders", resolver, None, within_s, 0, Winner)
    won.transport.close()
    name: str = won.address[1][0]
    return name


def test_one_that_hangs_is_overtaken_and_ended(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        with Network(slow="hangs", good="connects") as network:
            assert await dialled(network, ["slow", "good"], monkeypatch, 5.0) == "good"
            await until(lambda: network.cancelled)
            assert network.order == ["slow", "good"]

    play(scene)


def test_after_a_refusal_the_next_begins_at_once(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        monkeypatch.setattr(dialling, "ATTEMPT_DELAY_S", 60.0)
        with Network(a="refuses", b="refuses", c="connects") as network:
            async with asyncio.timeout(10):
                assert await dialled(network, ["a", "b", "c"], monkeypatch, 600.0) == "c"

    play(scene)


def test_the_first_that_connects_keeps_the_others_unasked(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        with Network(a="connects", b="connects") as network:
            assert await dialled(network, ["a", "b"], monkeypatch, 5.0) == "a"
            assert network.order == ["a"]

    play(scene)


@pytest.mark.parametrize(
    ("fates", "cause", "bound_s"),
    [
        ({"a": "refuses", "b": "refuses"}, Cause.UNREACHABLE, 60.0),
        # half of it lies between the second's begin and the end: a busy machine wakes late, and would see both at once
        ({"a": "hangs", "b": "hangs"}, Cause.TIMEOUT, 0.5),
    ],
)
def test_all_fail(
    play: Play, monkeypatch: pytest.MonkeyPatch, fates: dict[str, str], cause: Cause, bound_s: float
) -> None:
    async def scene() -> None:
        with Network(**fates) as network:
            with pytest.raises(UpstreamError) as caught:
                await dialled(network, ["a", "b"], monkeypatch, bound_s)
            assert (caught.value.cause, caught.value.stage, caught.value.sent) == (cause, "connect", False)
            assert network.order == ["a", "b"]

    play(scene)
