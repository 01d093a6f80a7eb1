"""What the policies that wait for nothing cost for each call, in µs of CPU, their header fields included.

    python loadtests/micro/gates.py

Every figure is the best of many runs. A layer is run with an upstream that answers at once, so its coroutine counts.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from time import monotonic, process_time

from gateway.api.consumers import Limits, Rate
from gateway.api.exchange import Exchange
from gateway.api.messages import Headers, Response
from gateway.api.policy import Gate, Layer
from gateway.api.ports import Clock
from gateway.testing.clock import FakeClock
from gateway.testing.exchange import BytesBody, FakeScope, make_exchange, make_principal
from policies import cors, headers, ip_allow, rate_limit, request_size, timeout

BROWSER = [("host", "api.example"), ("accept", "*/*"), ("authorization", "Bearer x"), ("origin", "https://app.example")]
PLENTY = {"rate": "1000000/s", "burst": 2_000_000}


class RealClock(FakeClock):
    def monotonic(self) -> float:
        return monotonic()


def show(what: str, built: Gate | Layer, exchange: Exchange) -> None:
    fields = list(exchange.request.headers)
    answer = Response(200, Headers([(b"content-type", b"application/json")]), b"")

    async def terminal(_: Exchange) -> Response:
        return answer

    def reset() -> None:
        exchange.response_headers = []
        exchange.request.headers[:] = fields
        exchange.closers = None

    def gate() -> None:
        reset()
        built.check(exchange)  # type: ignore[union-attr]  # called for gates only

    def layer() -> None:
        reset()
        try:
            built.around(exchange, terminal).send(None)  # type: ignore[union-attr]  # called for layers only
        except StopIteration:
            return

    cost = best(layer if isinstance(built, Layer) else gate) - best(reset)
    print(f"{what:50} {cost:6.2f}")


def best(call: Callable[[], None], calls: int = 20_000) -> float:
    return min(timeit.repeat(call, number=calls, repeat=7, timer=process_time)) / calls * 1e6


def main() -> None:
    clock: Clock = RealClock()

    def build(policy, **config):  # type: ignore[no-untyped-def]  # any policy's module
        spec = policy.POLICY
        built = spec.build(spec.config(**config), FakeScope(policy=spec.name, clock=clock))
        return built[0] if isinstance(built, list) else built

    caller = make_principal(limits=Limits(Rate(1e6, 1.0), 2e6))
    show("rate_limit per ip", build(rate_limit, per="ip", **PLENTY), make_exchange())
    show("rate_limit per consumer, its tier's figures", build(rate_limit), make_exchange(principal=caller))
    show("rate_limit per consumer, the route's", build(rate_limit, **PLENTY), make_exchange(principal=caller))
    two = [build(rate_limit, per=per, **PLENTY) for per in ("ip", "route")]
    show("rate_limit, two of one slot", rate_limit.POLICY.merge(two), make_exchange())
    show("rate_limit, refused", build(rate_limit, per="ip", rate="1/day"), make_exchange())
    show("ip_allow", build(ip_allow, allow=["192.0.2.0/24", "10.0.0.0/8"]), make_exchange())
    show("request_size, no body", build(request_size), make_exchange())
    show("request_size, announced", build(request_size), make_exchange("POST", body=BytesBody(announced=9)))
    show("timeout", build(timeout), make_exchange())
    show("cors, no origin", build(cors, origins=["https://app.example"]), make_exchange())
    show("cors, an origin", build(cors, origins=["https://app.example"]), make_exchange(headers=BROWSER))
    edit = {"set": {"X-Consumer": "{consumer.name}", "X-Via": "gate"}, "remove": ["Cookie"]}
    show("headers, request", build(headers, request=edit), make_exchange(headers=BROWSER, principal=caller))
    show("headers, response", build(headers, response={"set": {"X-Frame-Options": "DENY"}}), make_exchange())


if __name__ == "__main__":
    main()
