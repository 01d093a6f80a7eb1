"""What an upstream says of its own limits, beside or behind what the gateway says of its."""

from __future__ import annotations

import pytest

from gateway.testing.upstream import Peer, answering
from tests.wire.conftest import Perform
from tests.wire.plays import TO_ALL, Stage

GET = b"GET /orders HTTP/1.1\r\nHost: a\r\n\r\n"
LIMITED = (
    b'HTTP/1.1 %d X\r\nRateLimit-Policy: "own";q=9;w=60\r\nRateLimit: "own";r=%d;t=7\r\nContent-Length: 2\r\n\r\nok'
)
OURS = (b'"ip";q=5;w=5', b'"ip";r=4;t=1')
ROUTE = {**TO_ALL, "policies": {"rate_limit": {"per": "ip", "rate": "1/s", "burst": 5}}}


@pytest.mark.parametrize(
    ("said", "policy", "left"),
    [
        ("replace", [OURS[0]], [OURS[1]]),
        ("pass", [OURS[0], b'"own";q=9;w=60'], [OURS[1], b'"own";r=8;t=7']),
    ],
)
def test_an_upstreams_own_limits(play: Perform, said: str, policy: list[bytes], left: list[bytes]) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.ask(GET)
        assert answer.get(b"ratelimit-policy") == policy
        assert answer.get(b"ratelimit") == left

    play(scene, answering(LIMITED % (200, 8)), routes=[ROUTE], upstream={"ratelimit_headers": said})


@pytest.mark.parametrize("said", ["replace", "pass"])
def test_a_route_without_limits_passes_them(play: Perform, said: str) -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.ask(GET)).get(b"ratelimit") == [b'"own";r=8;t=7']

    play(scene, answering(LIMITED % (200, 8)), upstream={"ratelimit_headers": said})


def test_of_several_tries_the_last_counts_and_what_headers_removes_does_not_go_out(play: Perform) -> None:
    async def upstream(peer: Peer) -> None:
        for status, left in ((503, 1), (200, 0)):
            await peer.request()
            await peer.send(LIMITED % (status, left))
        await peer.gone()

    async def scene(stage: Stage) -> None:
        answer = await stage.ask(GET)
        assert (answer.status, answer.get(b"ratelimit")) == (200, [OURS[1], b'"own";r=0;t=7'])
        assert answer.get(b"ratelimit-policy") == [OURS[0]]

    policies = {**ROUTE["policies"], "retry": {}, "headers": {"response": {"remove": ["RateLimit-Policy"]}}}
    play(scene, upstream, routes=[{**ROUTE, "policies": policies}], upstream={"ratelimit_headers": "pass"})


def test_a_cache_keeps_none_of_them(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        first, second = await stage.ask(GET), await stage.ask(GET)
        assert len(stage.upstream.requests) == 1
        assert first.get(b"ratelimit")[1:] == [b'"own";r=8;t=7']
        assert len(second.get(b"ratelimit")) == 1

    policies = {**ROUTE["policies"], "cache": {"default_ttl": "1m"}}
    route = {**ROUTE, "policies": policies}
    play(scene, answering(LIMITED % (200, 8)), routes=[route], upstream={"ratelimit_headers": "pass"})
