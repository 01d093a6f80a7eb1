"""rate_limit: who pays, what callers are told, several limits at once."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.consumers import Limits, Rate
from gateway.api.exchange import Principal
from gateway.api.limits.gate import merge
from gateway.api.policy import PENDING, Level, Slot
from gateway.testing.clock import FakeClock
from gateway.testing.exchange import FakeScope, make_exchange, make_principal
from gateway.testing.store import RemoteStore
from gateway.testing.turns import a_turn
from policies.rate_limit import POLICY, accounts
from policies.rate_limit.config import RateLimitConfig


def gate(scope=None, /, **config):
    return POLICY.build(RateLimitConfig(**config), scope or FakeScope(policy="rate_limit"))


def passes(built, count=100, **exchange):
    """How many of `count` equal calls pass."""
    return sum(built.check(make_exchange(**exchange)) is None for _ in range(count))


def told(exchange):
    return {name.decode(): value.decode() for name, value in exchange.response_headers}


# --- what callers are told


def test_every_answer_tells_the_limit_and_what_is_left():
    built = gate(per="ip", rate="50/s", burst=100)
    exchange = make_exchange()
    assert built.check(exchange) is None
    assert told(exchange) == {"ratelimit-policy": '"ip";q=100;w=2', "ratelimit": '"ip";r=99;t=1'}


def test_a_refusal_is_429_with_a_true_wait():
    clock = FakeClock()
    scope = FakeScope(clock=clock)
    built = gate(scope, per="ip", rate="2/m", burst=2)
    assert passes(built, 2) == 2
    exchange = make_exchange()
    refusal = built.check(exchange)
    assert refusal.status == 429
    assert refusal.headers.get(b"retry-after") == b"30"
    problem = json.loads(refusal.body)
    assert problem["code"] == "rate_limit.exceeded"
    assert problem["type"] == "urn:sluicegate:problem:rate_limit.exceeded"
    assert told(exchange) == {"ratelimit-policy": '"ip";q=2;w=60', "ratelimit": '"ip";r=0;t=60'}
    assert scope.counts() == {"allow": 2, "refuse": 1}
    clock.advance(29)
    assert built.check(make_exchange()) is not None
    clock.advance(1)
    assert built.check(make_exchange()) is None


def test_refused_calls_do_not_count():
    clock = FakeClock()
    built = gate(FakeScope(clock=clock), per="ip", rate="1/s")
    assert passes(built, 1) == 1
    for _ in range(100):
        assert built.check(make_exchange()) is not None
        clock.advance(0.009)
    clock.advance(0.1)
    assert built.check(make_exchange()) is None


@pytest.mark.parametrize(
    ("config", "q_and_w"),
    [
        ({"rate": "50/s"}, "q=50;w=1"),
        ({"rate": "2.5/s"}, "q=2;w=1"),
        ({"rate": "100/h"}, "q=1;w=36"),
        ({"rate": "600/m", "burst": 20}, "q=20;w=2"),
        ({"rate": "1000/day", "burst": 10}, "q=10;w=864"),
    ],
)
def test_quantity_and_window(config, q_and_w):
    exchange = make_exchange()
    gate(per="ip", **config).check(exchange)
    assert told(exchange)["ratelimit-policy"] == f'"ip";{q_and_w}'


@pytest.mark.parametrize(
    ("config", "level", "label"),
    [
        ({"per": "ip"}, Level.ROUTE, "ip"),
        ({"per": "ip"}, Level.GLOBAL, "global-ip"),
        ({"per": "ip", "name": "burst"}, Level.ROUTE, "burst"),
        ({"per": "ip", "name": "burst"}, Level.GLOBAL, "global-burst"),
        ({"per": "header:X-%Tenant"}, Level.ROUTE, "header:X-%Tenant"),
    ],
)
def test_the_name_of_a_limit(config, level, label):
    exchange = make_exchange()
    gate(FakeScope(level=level), rate="5/s", **config).check(exchange)
    assert told(exchange)["ratelimit"].startswith(f'"{label}";r=4')


# --- who pays


@pytest.mark.parametrize(
    ("per", "same", "other"),
    [
        ("ip", {"client": "192.0.2.1"}, {"client": "192.0.2.2"}),
        ("ip", {"client": "2001:db8::1"}, {"client": "2001:db8:0:1::1"}),
        ("header:X-Tenant", {"headers": [("x-tenant", "a")]}, {"headers": [("x-tenant", "b")]}),
        ("header:X-Tenant", {"headers": [("x-tenant", "a" * 5000)]}, {"headers": [("x-tenant", "a" * 5001)]}),
        ("header:X-Tenant", {}, {"headers": [("x-tenant", "b")]}),
        ("claim:sub", {"principal": make_principal(claims={"sub": "a"})}, {"principal": make_principal(claims={})}),
        ("claim:org.id", {"principal": make_principal(claims={"org": {"id": 1}})}, {}),
        ("consumer", {"principal": make_principal("acme")}, {"principal": make_principal("rocket")}),
        ("consumer", {"client": "192.0.2.1"}, {"client": "192.0.2.2"}),
    ],
)
def test_each_caller_has_a_bucket(per, same, other):
    built = gate(per=per, rate="1/s", burst=3)
    assert passes(built, 5, **same) == 3
    assert passes(built, 5, **other) == 3


def test_a_route_has_one_bucket_for_all():
    built = gate(per="route", rate="1/s", burst=3)
    assert passes(built, 2, client="192.0.2.1") == 2
    assert passes(built, 5, client="192.0.2.2") == 1


def test_an_ipv6_site_is_one_caller():
    built = gate(per="ip", rate="1/s", burst=3)
    assert sum(built.check(make_exchange(client=f"2001:db8::{n}")) is None for n in range(1, 10)) == 3


def test_a_claim_counts_beside_its_issuer():
    built = gate(per="claim:sub", rate="1/s", burst=3)
    for issuer in ("one", "other"):
        principal = Principal(f"client:{issuer}:x", None, issuer=issuer, claims={"sub": "alice"})
        assert passes(built, 5, principal=principal) == 3


def test_a_tier_is_one_bucket_over_the_whole_gateway():
    principal = make_principal(limits=Limits(Rate(1, 1.0), 4))
    scope = FakeScope(policy="rate_limit")
    routes = [gate(scope.like(route=route), **config) for route, config in (("a", {}), ("b", {"name": "mine"}))]
    assert [passes(built, 3, principal=principal) for built in routes] == [3, 1]


def test_figures_on_a_route_are_the_routes():
    principal = make_principal(limits=Limits(Rate(1, 1.0), 4))
    scope = FakeScope(policy="rate_limit")
    routes = [gate(scope.like(route=route), rate="1/s", burst=2) for route in ("a", "b")]
    assert [passes(built, 5, principal=principal) for built in routes] == [2, 2]
    assert passes(gate(scope.like(route="c")), 9, principal=principal) == 4


def test_a_consumers_figures_for_a_route_beat_the_routes_own():
    principal = make_principal(
        limits=Limits(Rate(1, 1.0), 4), route_limits={"a": Limits(Rate(1, 1.0), 7), "b": Limits(concurrency=3)}
    )
    scope = FakeScope(policy="rate_limit")
    assert passes(gate(scope.like(route="a"), rate="1/s", burst=2), 9, principal=principal) == 7
    assert passes(gate(scope.like(route="b"), rate="1/s", burst=2), 9, principal=principal) == 2
    assert passes(gate(scope.like(route="b")), 9, principal=principal) == 4


def test_a_consumer_without_figures_is_not_limited_by_a_tier():
    exchange = make_exchange(principal=make_principal())
    assert gate().check(exchange) is None
    assert exchange.response_headers == []
    assert passes(gate(), 50) == 50  # nobody, where an authenticator only watches


@pytest.mark.parametrize(
    "principal_of",
    [lambda limits: make_principal(limits=limits), lambda limits: Principal("client:i:c", None, limits=limits)],
)
def test_changed_figures_of_a_consumer_apply_at_once_and_refill_nothing(principal_of):
    built = gate()
    assert passes(built, 9, principal=principal_of(Limits(Rate(10, 1.0), 4))) == 4
    raised = make_exchange(principal=principal_of(Limits(Rate(10, 1.0), 6)))
    assert built.check(raised) is None
    assert told(raised) == {"ratelimit-policy": '"consumer";q=6;w=1', "ratelimit": '"consumer";r=1;t=1'}


@pytest.mark.parametrize(
    ("scope_field", "level", "expected"),
    [
        (None, Level.ROUTE, [3, 3, 3]),
        ("route", Level.ROUTE, [3, 3, 3]),
        ("upstream", Level.ROUTE, [3, 0, 3]),
        ("gateway", Level.ROUTE, [3, 0, 0]),
        (None, Level.GLOBAL, [3, 0, 0]),
        ("route", Level.GLOBAL, [3, 3, 3]),
    ],
)
def test_what_shares_a_bucket(scope_field, level, expected):
    scope = FakeScope(policy="rate_limit")
    places = [("a", "one"), ("b", "one"), ("c", "other")]
    gates = [
        gate(scope.like(route=route, upstream=upstream, level=level), per="ip", rate="1/s", burst=3, scope=scope_field)
        for route, upstream in places
    ]
    assert [passes(built, 4) for built in gates] == expected


def test_buckets_outlive_a_change_of_figures_but_not_of_name():
    scope = FakeScope(policy="rate_limit")
    assert passes(gate(scope, per="ip", rate="10/s", burst=5), 9) == 5
    assert passes(gate(scope, per="ip", rate="20/s", burst=10), 9) == 0
    assert passes(gate(scope, per="ip", rate="20/s", burst=10, name="new"), 9) == 9


# --- costs, workers, shadow


def test_cost_by_method():
    built = gate(per="ip", rate="1/s", burst=10, cost={"POST": 4, "GET": 0})
    assert passes(built, 5, method="POST") == 2
    assert passes(built, 50, method="GET") == 50
    assert passes(built, 50, method="PUT") == 2


def test_workers_share_figures():
    scope = FakeScope(workers=4)
    built = gate(scope, per="ip", rate="8/s", burst=40)
    assert passes(built, 100) == 10
    scope.clock.advance(1)
    exchange = make_exchange()
    assert built.check(exchange) is None
    assert told(exchange) == {"ratelimit-policy": '"ip";q=40;w=5', "ratelimit": '"ip";r=1;t=5'}
    assert passes(built, 100) == 1


def test_shadow_has_buckets_of_its_own_and_says_nothing():
    scope = FakeScope(policy="rate_limit")
    watching, holding = (gate(scope.like(shadow=shadow), per="ip", rate="1/s", burst=2) for shadow in (True, False))
    exchange = make_exchange()
    assert watching.check(exchange) is None
    assert exchange.response_headers == []
    assert passes(watching, 5) == 1  # what it would refuse it returns; the chain lets it pass
    refused = make_exchange()
    watching.check(refused)
    assert refused.response_headers == []
    assert passes(holding, 5) == 2


# --- a store that several processes share


def ask(built, exchange):
    """The answer of a gate that may have to wait."""
    verdict = built.check(exchange)
    return asyncio.run(built.wait(exchange)) if verdict is PENDING else verdict


def shared(clock, **changed):
    """Two processes' scopes over one store, and the store."""
    remote = RemoteStore(clock)
    scopes = [
        FakeScope(policy="rate_limit", clock=clock, stores={"redis": remote.scoped("limits")}, **changed)
        for _ in range(2)
    ]
    return remote, scopes


def test_processes_share_one_bucket():
    _, scopes = shared(FakeClock())
    gates = [gate(scope, per="ip", rate="1/s", burst=5, store="redis") for scope in scopes]
    exchanges = [make_exchange() for _ in range(8)]
    answers = [ask(gates[number % 2], exchange) for number, exchange in enumerate(exchanges)]
    assert [answer is None for answer in answers] == [True] * 5 + [False] * 3
    assert told(exchanges[4]) == {"ratelimit-policy": '"ip";q=5;w=5', "ratelimit": '"ip";r=0;t=5'}
    assert told(exchanges[5]) == {"ratelimit-policy": '"ip";q=5;w=5', "ratelimit": '"ip";r=0;t=5'}
    assert answers[5].headers.get(b"retry-after") == b"1"
    assert scopes[0].counts() == {"allow": 3, "refuse": 1}


def test_limits_of_one_slot_are_one_operation_and_a_refusal_charges_none():
    clock = FakeClock()
    remote, (scope, _) = shared(clock)
    scope.stores["plain"] = scope.store("memory")
    built = merge(
        [
            gate(scope, per="ip", rate="1/s", burst=2, store="redis"),
            gate(scope, per="route", rate="1/s", burst=10, store="redis"),
            gate(scope, per="ip", rate="1/s", burst=3, name="here", store="plain"),
        ]
    )
    for number in range(4):
        before = remote.operations
        exchange = make_exchange()
        assert (ask(built, exchange) is None) is (number < 2)
        assert remote.operations == before + 1
    assert told(exchange)["ratelimit"] == '"here";r=1;t=2, "ip";r=0;t=2, "route";r=8;t=2'


def test_a_refusal_in_memory_asks_no_store():
    remote, (scope, _) = shared(FakeClock())
    scope.stores["plain"] = scope.store("memory")
    built = merge(
        [gate(scope, per="route", rate="1/s", store="redis"), gate(scope, per="ip", rate="1/s", burst=1, store="plain")]
    )
    assert ask(built, make_exchange()) is None
    asked = remote.operations
    assert ask(built, make_exchange()).status == 429
    assert remote.operations == asked


def test_a_call_that_free_methods_make_is_never_refused():
    _, (scope, _) = shared(FakeClock())
    built = gate(scope, per="ip", rate="1/s", burst=1, cost={"GET": 0}, store="redis")
    assert ask(built, make_exchange("POST")) is None
    assert ask(built, make_exchange("POST")).status == 429
    assert ask(built, make_exchange("GET")) is None


@pytest.mark.parametrize(("mode", "passing"), [("local", 2), ("allow", 20), ("deny", 0)])
def test_without_its_store(mode, passing):
    remote, (scope, _) = shared(FakeClock(), workers=3)
    built = gate(scope, per="ip", rate="1/m", burst=6, store="redis", on_store_error=mode)
    remote.down = True
    answers = [ask(built, make_exchange()) for _ in range(20)]
    assert sum(answer is None for answer in answers) == passing
    if mode == "deny":
        assert (answers[0].status, answers[0].headers.get(b"retry-after")) == (503, b"1")
        assert json.loads(answers[0].body)["code"] == "rate_limit.store-unavailable"
    if mode == "local":
        assert answers[-1].status == 429


def test_what_is_told_without_a_store_is_true():
    clock = FakeClock()
    remote, (scope, _) = shared(clock, workers=2)
    built = gate(scope, per="ip", rate="1/s", burst=4, store="redis")
    remote.down = True
    while (refusal := ask(built, make_exchange())) is None:
        pass
    clock.advance(int(refusal.headers.get(b"retry-after")))
    assert ask(built, make_exchange()) is None


def test_in_shadow_a_shared_limit_says_nothing():
    _, (scope, _) = shared(FakeClock(), shadow=True)
    built = gate(scope, per="ip", rate="1/s", burst=1, store="redis")
    for _ in range(2):
        exchange = make_exchange()
        ask(built, exchange)
        assert exchange.response_headers == []


def test_a_cancelled_call_gives_back_what_it_took_in_memory():
    class Never(RemoteStore):
        async def run(self, operation, namespace=None):
            await asyncio.get_running_loop().create_future()

    clock = FakeClock()
    scope = FakeScope(clock=clock, stores={"redis": Never(clock).scoped("limits")})
    scope.stores["plain"] = scope.store("memory")
    alone = gate(scope, per="ip", rate="1/m", burst=1, store="plain")
    built = merge([alone, gate(scope, per="route", rate="1/s", store="redis")])

    async def leave():
        call = asyncio.ensure_future(built.wait(make_exchange()))
        await a_turn()
        call.cancel()
        await asyncio.wait({call})

    asyncio.run(leave())
    assert alone.check(make_exchange()) is None


# --- several at once


def several(scope, *configs):
    return POLICY.merge([gate(scope, **config) for config in configs])


def test_a_refusal_takes_nothing_from_the_others():
    scope = FakeScope(policy="rate_limit")
    built = several(scope, {"per": "ip", "rate": "1/s", "burst": 2}, {"per": "route", "rate": "1/m", "burst": 10})
    assert passes(built, 50, client="192.0.2.1") == 2
    exchange = make_exchange(client="192.0.2.2")
    assert built.check(exchange) is None
    assert told(exchange) == {
        "ratelimit-policy": '"ip";q=2;w=2, "route";q=10;w=600',
        "ratelimit": '"ip";r=1;t=1, "route";r=7;t=180',
    }


def test_the_longest_wait_is_told():
    built = several(
        FakeScope(),
        {"per": "ip", "rate": "1/s"},
        {"per": "route", "rate": "1/m"},
        {"per": "ip", "name": "x", "rate": "1/h", "burst": 5},
    )
    assert passes(built, 1) == 1
    exchange = make_exchange()
    refusal = built.check(exchange)
    assert refusal.headers.get(b"retry-after") == b"60"
    assert b"'route'" in refusal.body
    assert told(exchange)["ratelimit"] == '"ip";r=0;t=1, "route";r=0;t=60, "x";r=4;t=3600'


def test_several_count_each_for_itself():
    scope = FakeScope()
    one, other = scope.like(), scope.like()
    built = POLICY.merge([gate(one, per="ip", rate="1/s", burst=1), gate(other, per="route", rate="1/s", burst=5)])
    assert passes(built, 3) == 1
    assert one.counts() == {"allow": 1, "refuse": 2}
    assert other.counts() == {"allow": 3}


def test_merged_gates_merge_again_and_may_have_nobody_to_charge():
    scope = FakeScope()
    twice = POLICY.merge([several(scope, {}, {"name": "x"}), gate(scope, name="y")])
    exchange = make_exchange(principal=make_principal())
    assert twice.check(exchange) is None
    assert exchange.response_headers == []


def test_a_call_pays_a_shared_bucket_once_at_the_higher_cost():
    principal = make_principal(limits=Limits(Rate(1, 1.0), 10))
    for costs in ((1, 3), (3, 1)):
        built = several(FakeScope(), {"cost": costs[0]}, {"cost": costs[1], "name": "x"})
        assert built.check(make_exchange(principal=principal)) is None
        exchange = make_exchange(principal=principal)
        assert built.check(exchange) is None
        assert '"x";r=4' in told(exchange)["ratelimit"] or '"consumer";r=4' in told(exchange)["ratelimit"]


def test_in_shadow_several_say_nothing():
    built = several(FakeScope(shadow=True), {"per": "ip", "rate": "1/s"}, {"per": "route", "rate": "1/s"})
    for _ in range(2):
        exchange = make_exchange()
        built.check(exchange)
        assert exchange.response_headers == []


_CALLS = st.lists(
    st.tuples(st.sampled_from(["192.0.2.1", "192.0.2.2"]), st.sampled_from(["GET", "POST"]), st.floats(0, 2)),
    max_size=60,
)


@given(_CALLS)
def test_no_interleaving_admits_more_than_any_limit_allows(calls):
    clock = FakeClock()
    scope = FakeScope(clock=clock)
    built = several(
        scope,
        {"per": "ip", "rate": "2/s", "burst": 4, "cost": {"POST": 2}},
        {"per": "route", "rate": "3/s", "burst": 5},
    )
    admitted = []
    for client, method, gap in calls:
        clock.advance(gap)
        if built.check(make_exchange(method, client=client)) is None:
            admitted.append((clock.monotonic(), client, 2 if method == "POST" else 1))
    for first, (start, *_) in enumerate(admitted):
        for last in range(first, len(admitted)):
            window, end = admitted[first : last + 1], admitted[last][0]
            assert len(window) <= 3 * (end - start) + 5 + 1e-3
            for client in ("192.0.2.1", "192.0.2.2"):
                assert sum(cost for _, who, cost in window if who == client) <= 2 * (end - start) + 4 + 1e-3


# --- what is kept


def test_kept_accounts_are_bounded_and_forgetting_one_forgives_nothing(monkeypatch):
    monkeypatch.setattr(accounts, "KEPT", 3)
    scope = FakeScope()
    built = gate(scope, per="ip", rate="1/h", burst=1)
    for _ in range(2):
        admitted = [built.check(make_exchange(client=f"192.0.2.{n}")) is None for n in range(20)]
    assert admitted == [False] * 20
    assert len(scope.states["accounts"]._order) == 3


def test_kept_figures_are_bounded(monkeypatch):
    monkeypatch.setattr(accounts, "_FIGURES_KEPT", 2)
    built = gate()
    for n in range(1, 9):
        principal = make_principal(f"c{n}", limits=Limits(Rate(n, 1.0), n))
        assert passes(built, 20, principal=principal) == n


def test_slots():
    for per, slot in (
        ("ip", Slot.GUARD),
        ("route", Slot.GUARD),
        ("header:X", Slot.GUARD),
        ("claim:x", Slot.LIMIT),
        ("consumer", Slot.LIMIT),
    ):
        assert POLICY.slot(RateLimitConfig(per=per, rate="1/s")) is slot
