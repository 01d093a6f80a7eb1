"""The chain runs policies in the order of their slots and stops at the first refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.api.exchange import Exchange, Outcome, Principal, Proceed
from gateway.api.messages import Headers, Response
from gateway.api.policy import Authenticator, Gate, Layer, Observer, Slot
from gateway.compile.chain import Step, authorization, fold
from gateway.testing.exchange import make_exchange, make_principal

REFUSAL = Response(403, Headers(), b"no")


class Seen(Gate):
    def __init__(self, seen: list[str], name: str, refusal: Response | None = None) -> None:
        self.seen, self.name, self.refusal = seen, name, refusal

    def check(self, exchange: Exchange) -> Response | None:
        self.seen.append(self.name)
        if self.refusal is not None:
            exchange.note(f"{self.name}.refused")
        return self.refusal


class Around(Layer):
    def __init__(self, seen: list[str], name: str) -> None:
        self.seen, self.name = seen, name

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        self.seen.append(f"{self.name} in")
        response = await proceed(exchange)
        self.seen.append(f"{self.name} out")
        return response


class Badge(Authenticator):
    """Believes whoever carries the header that it is named after."""

    def __init__(self, name: str, consumer: str = "acme", *, slow: bool = False) -> None:
        self.name, self.consumer, self.slow = name, consumer, slow
        self.demands: Response | None = None

    def presented(self, exchange: Exchange) -> bool:
        return exchange.request.headers.get(self.name.encode()) is not None

    def _verdict(self, exchange: Exchange) -> Principal | Response:
        value = exchange.request.headers.get(self.name.encode())
        if value == b"good":
            return make_principal(self.consumer)
        return Response(401, Headers([(b"www-authenticate", self.name.encode())]))

    def identify_nowait(self, exchange: Exchange) -> Principal | Response | None:
        return None if self.slow else self._verdict(exchange)

    async def identify(self, exchange: Exchange) -> Principal | Response:
        await asyncio.sleep(0)
        return self._verdict(exchange)

    def authorize(self, exchange: Exchange, principal: Principal) -> Response | None:
        return self.demands

    def strip(self, exchange: Exchange) -> None:
        exchange.request.headers.remove_all(self.name.encode())


async def ok(exchange: Exchange) -> Response:
    return Response(200, Headers(), b"ok")


def run(steps: Sequence[Step], exchange: Exchange | None = None, *, require_all: bool = False) -> Response:
    async def go() -> Response:
        return await fold(steps, ok, require_all=require_all).handle(exchange or make_exchange())

    return asyncio.run(go())


def test_slots_decide_the_order_whatever_the_order_of_steps() -> None:
    seen: list[str] = []
    steps = [
        Step(Slot.TRANSFORM, "headers", Around(seen, "headers")),
        Step(Slot.LIMIT, "rate_limit", Seen(seen, "limit")),
        Step(Slot.EDGE, "cors", Seen(seen, "cors")),
        Step(Slot.CACHE, "cache", Around(seen, "cache")),
        Step(Slot.RESILIENCE, "late", Seen(seen, "late")),
    ]
    assert run(steps).status == 200
    assert seen == ["cors", "limit", "cache in", "headers in", "late", "headers out", "cache out"]


def test_first_refusal_ends_the_chain() -> None:
    seen: list[str] = []
    steps = [
        Step(Slot.EDGE, "a", Seen(seen, "a")),
        Step(Slot.GUARD, "b", Seen(seen, "b", REFUSAL)),
        Step(Slot.LIMIT, "c", Seen(seen, "c")),
    ]
    assert run(steps) is REFUSAL
    assert seen == ["a", "b"]


def test_layers_of_a_slot_see_the_refusals_of_its_gates() -> None:
    seen: list[str] = []
    steps = [Step(Slot.EDGE, "a", Seen(seen, "a", REFUSAL)), Step(Slot.EDGE, "cors", Around(seen, "cors"))]
    assert run(steps) is REFUSAL
    assert seen == ["cors in", "a", "cors out"]


def test_shadow_gate_lets_pass_and_says_so_in_the_log() -> None:
    exchange = make_exchange()
    exchange.note("enforced.code")
    steps = [Step(Slot.GUARD, "a", Seen([], "a", REFUSAL), shadow=True)]
    assert run(steps, exchange).status == 200
    assert exchange.codes == ["enforced.code", "shadow:a.refused"]


def test_observers_stand_outside_the_chain() -> None:
    class Watcher(Observer):
        def observe(self, exchange: Exchange, outcome: Outcome) -> None: ...

    watcher = Watcher()
    assert fold([Step(Slot.EDGE, "watch", watcher)], ok).observers == (watcher,)


def test_gates_of_one_policy_and_slot_are_merged() -> None:
    seen: list[str] = []
    merged: list[int] = []

    def merge(gates: Sequence[Gate]) -> Gate:
        merged.append(len(gates))
        return Seen(seen, "both")

    steps = [
        Step(Slot.GUARD, "limit", Seen(seen, "one"), merge=merge),
        Step(Slot.GUARD, "limit", Seen(seen, "two"), merge=merge),
        Step(Slot.LIMIT, "limit", Seen(seen, "three"), merge=merge),
    ]
    assert run(steps).status == 200
    assert merged == [2]
    assert seen == ["both", "three"]


@pytest.mark.parametrize("slow", [False, True])
def test_authenticator_sets_the_principal_and_strips_credentials(slow: bool) -> None:
    exchange = make_exchange(headers=[("badge", "good")])
    assert run([Step(Slot.AUTHENTICATE, "badge", Badge("badge", slow=slow))], exchange).status == 200
    assert exchange.principal is not None
    assert exchange.principal.name == "acme"
    assert exchange.request.headers.get(b"badge") is None


@pytest.mark.parametrize("slow", [False, True])
def test_bad_credentials_in_shadow_pass_as_anonymous_without_them(slow: bool) -> None:
    exchange = make_exchange(headers=[("badge", "forged")])
    step = Step(Slot.AUTHENTICATE, "badge", Badge("badge", slow=slow), shadow=True)
    assert run([step], exchange).status == 200
    assert exchange.principal is None
    assert exchange.request.headers.get(b"badge") is None


def test_authorization_asks_the_one_who_believed() -> None:
    badge, key = Badge("badge"), Badge("key")
    key.demands = REFUSAL
    steps = [
        Step(Slot.AUTHENTICATE, "badge", badge),
        Step(Slot.AUTHENTICATE, "key", key),
        Step(Slot.AUTHORIZE, "badge", authorization(badge)),
        Step(Slot.AUTHORIZE, "key", authorization(key)),
    ]
    assert run(steps, make_exchange(headers=[("badge", "good")])).status == 200
    assert run(steps, make_exchange(headers=[("key", "good")])) is REFUSAL


@pytest.mark.parametrize(
    ("headers", "require_all", "status"),
    [
        ([("badge", "good")], False, 200),
        ([("key", "good")], False, 200),
        ([("badge", "good"), ("key", "forged")], False, 401),  # presented and bad: refused even beside a good one
        ([], False, 401),
        ([("badge", "good")], True, 401),
        ([("badge", "good"), ("key", "good")], True, 200),
    ],
)
def test_several_authenticators(headers: list[tuple[str, str]], require_all: bool, status: int) -> None:
    steps = [Step(Slot.AUTHENTICATE, name, Badge(name)) for name in ("badge", "key")]
    assert run(steps, make_exchange(headers=headers), require_all=require_all).status == status


def test_where_all_are_needed_each_asks_of_the_principal_it_believed() -> None:
    class Demanding(Badge):
        asked: Principal | None = None

        def authorize(self, exchange: Exchange, principal: Principal) -> Response | None:
            self.asked = principal
            return None

    badges = [Demanding("badge"), Demanding("key")]
    steps = [Step(Slot.AUTHENTICATE, badge.name, badge) for badge in badges]
    steps += [Step(Slot.AUTHORIZE, badge.name, authorization(badge)) for badge in badges]
    exchange = make_exchange(headers=[("badge", "good"), ("key", "good")])
    assert run(steps, exchange, require_all=True).status == 200
    first, second = (badge.asked for badge in badges)
    assert first is not None
    assert second is not None
    assert first is not second
    assert exchange.principal is first


def test_nothing_presented_is_challenged_by_all() -> None:
    steps = [Step(Slot.AUTHENTICATE, name, Badge(name)) for name in ("badge", "key")]
    assert run(steps).headers.get_all(b"www-authenticate") == [b"badge", b"key"]


def test_all_must_name_the_same_consumer() -> None:
    steps = [
        Step(Slot.AUTHENTICATE, "badge", Badge("badge", "acme")),
        Step(Slot.AUTHENTICATE, "key", Badge("key", "rocket")),
    ]
    exchange = make_exchange(headers=[("badge", "good"), ("key", "good")])
    assert run(steps, exchange, require_all=True).status == 403
    assert exchange.codes == ["auth.different-consumers"]


def test_within_a_slot_lower_ranks_stand_outside_whatever_their_names() -> None:
    seen: list[str] = []
    steps = [
        Step(Slot.RESILIENCE, "breaker", Around(seen, "breaker"), rank=2),
        Step(Slot.RESILIENCE, "retry", Around(seen, "retry")),
        Step(Slot.RESILIENCE, "bulkhead", Around(seen, "bulkhead"), rank=1),
        Step(Slot.LIMIT, "concurrency", Around(seen, "concurrency"), rank=1),
        Step(Slot.LIMIT, "rate_limit", Seen(seen, "rate_limit")),
    ]

    async def terminal(exchange: Exchange) -> Response:
        seen.append("upstream")
        return Response(200, Headers(), b"")

    handle = fold(steps, terminal).handle

    async def scene() -> None:
        await handle(make_exchange())

    asyncio.run(scene())
    assert seen[:6] == ["rate_limit", "concurrency in", "retry in", "bulkhead in", "breaker in", "upstream"]
