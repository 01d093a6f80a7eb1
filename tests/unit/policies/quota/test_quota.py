"""quota: whose calls count, in which window, what is given back, and who is warned."""

import asyncio
import json
import logging
from datetime import datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from gateway.api.consumers import Limits
from gateway.api.errors import StoreError
from gateway.api.limits.gate import merge
from gateway.api.policy import PENDING, CheckContext, Level
from gateway.stores.keys import scoped
from gateway.stores.sqlite import SqliteStore
from gateway.testing.clock import FakeClock
from gateway.testing.exchange import FakeScope, close, make_exchange, make_principal
from gateway.testing.store import RemoteStore
from policies.quota import POLICY
from policies.quota.blocks import Blocks
from policies.quota.config import QuotaConfig
from policies.rate_limit import POLICY as RATE_LIMIT
from policies.rate_limit.config import RateLimitConfig

NOON = datetime(2026, 11, 23, 12, tzinfo=ZoneInfo("UTC")).timestamp()  # a Monday


def at_noon():
    return FakeClock(time_s=NOON)


def gate(scope=None, /, **config):
    return POLICY.build(QuotaConfig(**config), scope or FakeScope(policy="quota", clock=at_noon()))


async def ask(built, exchange):
    verdict = built.check(exchange)
    return await built.wait(exchange) if verdict is PENDING else verdict


def call(built, *, sent=True, **exchange):
    """A call from its begin to its end; whether it passed."""

    async def run():
        made = make_exchange(**exchange)
        refusal = await ask(built, made)
        made.sent = sent and refusal is None
        close(made)
        return refusal is None

    return asyncio.run(run())


def passes(built, count=20, **call_):
    return sum(call(built, **call_) for _ in range(count))


def told(exchange):
    return {name.decode(): value.decode() for name, value in exchange.response_headers}


def test_every_answer_tells_the_quota_and_what_is_left():
    built = gate(per="ip", limit="100/day")
    exchange = make_exchange()
    assert built.check(exchange) is None
    assert told(exchange) == {"ratelimit-policy": '"ip-quota";q=100;w=86400', "ratelimit": '"ip-quota";r=99;t=43200'}


def test_a_refusal_is_429_until_the_window_ends():
    clock = at_noon()
    built = gate(FakeScope(clock=clock), per="ip", limit="2/hour")
    clock.advance(0.5)
    assert passes(built) == 2
    exchange = make_exchange()
    refusal = built.check(exchange)
    assert (refusal.status, refusal.headers.get(b"retry-after")) == (429, b"3600")
    assert json.loads(refusal.body)["code"] == "quota.exceeded"
    assert told(exchange)["ratelimit"] == '"ip-quota";r=0;t=3600'
    clock.advance(3599)
    assert built.check(make_exchange()) is not None
    clock.advance(1)
    assert built.check(make_exchange()) is None


@pytest.mark.parametrize(
    ("limit", "timezone", "left_s"),
    [
        ("5/day", "UTC", 12 * 3600),
        ("5/day", "Asia/Kathmandu", 6 * 3600 + 900),
        ("5/week", "UTC", 6.5 * 86400),
        ("5/month", "Europe/Berlin", 7.5 * 86400 - 3600),
    ],
)
def test_windows_are_of_the_zone(limit, timezone, left_s):
    clock = at_noon()
    built = gate(FakeScope(clock=clock), per="ip", limit=limit, timezone=timezone)
    assert passes(built) == 5
    clock.advance(left_s - 1)
    assert passes(built) == 0
    clock.advance(1)
    assert passes(built) == 5


def test_what_was_not_forwarded_is_given_back():
    built = gate(per="ip", limit="3/day")
    assert passes(built, 10, sent=False) == 10
    assert passes(built, 10) == 3


def test_or_counts_where_all_counts():
    built = gate(per="ip", limit="3/day", count="all")
    assert passes(built, 10, sent=False) == 3


def test_what_is_given_back_goes_to_the_window_it_came_from():
    clock = at_noon()
    built = gate(FakeScope(clock=clock), per="ip", limit="2/hour")
    late = make_exchange()
    assert built.check(late) is None
    clock.advance(3600)
    assert passes(built, 1) == 1
    close(late)
    assert passes(built) == 1


def test_tiers_consumers_and_routes():
    limits = Limits(quota=(4, "day"))
    scope = FakeScope(policy="quota", clock=at_noon())
    acme = make_principal(limits=limits, route_limits={"b": Limits(quota=(2, "day"))})
    a, b, c = (gate(scope.like(route=route)) for route in "abc")
    own = gate(scope.like(route="d"), limit="1/day")
    assert [passes(built, 3, principal=acme) for built in (a, c)] == [3, 1]  # one count over the whole gateway
    assert passes(b, principal=acme) == 2
    assert passes(own, principal=acme) == 1
    assert passes(a, 3, principal=make_principal("rocket", limits=limits)) == 3
    assert passes(a, 9, principal=make_principal("free")) == 9
    assert passes(a, 9) == 9  # nobody, where an authenticator only watches


def test_anonymous_callers_count_by_address():
    built = gate(limit="2/day")
    assert passes(built, client="192.0.2.1") == 2
    assert passes(built, client="192.0.2.2") == 2


def test_changed_figures_apply_at_once():
    built = gate()
    assert passes(built, principal=make_principal(limits=Limits(quota=(2, "day")))) == 2
    assert passes(built, principal=make_principal(limits=Limits(quota=(5, "day")))) == 3


def test_names():
    for config, level, label in (
        ({"per": "route"}, Level.ROUTE, "route-quota"),
        ({"per": "ip", "name": "site"}, Level.ROUTE, "site-quota"),
        ({"per": "ip"}, Level.GLOBAL, "global-ip-quota"),
    ):
        exchange = make_exchange()
        gate(FakeScope(level=level), limit="5/day", **config).check(exchange)
        assert told(exchange)["ratelimit"].startswith(f'"{label}";r=4;')


def test_workers_share_what_is_in_memory():
    scope = FakeScope(workers=4, clock=at_noon())
    assert passes(gate(scope, per="ip", limit="8/day")) == 2


def test_shadow_counts_for_itself_and_says_nothing():
    scope = FakeScope(clock=at_noon())
    watching, holding = (gate(scope.like(shadow=shadow), per="ip", limit="2/day") for shadow in (True, False))
    exchange = make_exchange()
    assert watching.check(exchange) is None
    assert exchange.response_headers == []
    assert passes(watching) == 1
    assert passes(holding) == 2


def test_a_warning_once_a_window(caplog):
    clock = at_noon()
    scope = FakeScope(clock=clock)
    built = gate(scope, limit="10/hour", warn="80%")
    acme = make_principal()
    with caplog.at_level(logging.WARNING, "sluicegate.quota"):
        assert passes(built, 7, principal=acme) == 7
        assert not caplog.records
        assert passes(built, principal=acme) == 3
        assert [record.getMessage() for record in caplog.records] == [
            "consumer:acme has used 8 of 10 calls of the hour of 'consumer-quota'"
        ]
        assert scope.counts()["quota_warnings_total orders consumer-quota"] == 1
        clock.advance(3600)
        passes(built, 8, principal=acme)
    assert len(caplog.records) == 2


def test_what_callers_write_is_not_logged(caplog):
    built = gate(per="header:X-Tenant", limit="1/day")
    call(built, headers=[("x-tenant", "secret")])
    assert "a caller by its header has used 1 of 1" in caplog.text
    assert "secret" not in caplog.text


# --- beside rates


def test_a_rate_that_refuses_takes_nothing_from_the_quota_and_the_other_way_round():
    clock = at_noon()
    scope = FakeScope(clock=clock)
    rate = RATE_LIMIT.build(RateLimitConfig(per="ip", rate="1/m", burst=3), scope)
    quota = gate(scope, per="ip", limit="5/day", count="all")
    both = merge([quota, rate])
    assert passes(both) == 3
    assert passes(quota) == 2  # the refused calls took nothing
    clock.advance(180)
    assert passes(both) == 0
    assert rate.check(make_exchange()) is None  # nor did those that the quota refused


def test_rate_and_quota_of_one_store_are_one_operation():
    clock = at_noon()
    remote = RemoteStore(clock)
    scope = FakeScope(clock=clock, stores={"redis": remote.scoped("limits")})
    rate = RATE_LIMIT.build(RateLimitConfig(per="ip", rate="1/m", burst=3, store="redis"), scope)
    both = merge([gate(scope, per="ip", limit="5/day", store="redis"), rate])
    assert call(both)
    assert remote.operations == 1
    assert passes(both) == 2
    assert scope.counts() == {"allow": 24, "refuse": 18}  # the quota refused none of the 18


# --- in a file


class Process:
    """One of several that count in the same file."""

    def __init__(self, path, clock):
        self.backend = SqliteStore(path, clock.time, "normal")
        self.scope = FakeScope(policy="quota", clock=clock, stores={None: scoped(self.backend, "limits")})

    def gate(self, **config):
        return gate(self.scope, **config)

    @property
    def blocks(self):
        return next(state for state in self.scope.states.values() if isinstance(state, Blocks))


def in_files(scenario, tmp_path, count=2):
    async def run():
        clock = at_noon()
        processes = [Process(tmp_path / "s.db", clock) for _ in range(count)]
        try:
            await scenario(clock, *processes)
        finally:
            for process in processes:
                await process.backend.close()

    asyncio.run(run())


async def passing(built, count=20, **exchange):
    passed = 0
    for _ in range(count):
        made = make_exchange(**exchange)
        refusal = await ask(built, made)
        made.sent = True
        close(made)
        passed += refusal is None
    return passed


@pytest.mark.parametrize("limit", [1, 5, 100])
def test_processes_hold_one_quota_to_the_last_call(tmp_path, limit):
    async def scenario(clock, *processes):
        gates = [one.gate(per="ip", limit=f"{limit}/day") for one in processes]
        total = 0
        for _ in range(3):
            for built in gates:
                total += await passing(built, 7)
        assert total == min(limit, 42)
        for one in processes:
            await one.blocks.put_back(everything=True)
        clock.advance(1)
        for built in gates:
            total += await passing(built, 120)
        assert total == limit

    in_files(scenario, tmp_path)


def test_calls_at_the_same_time_take_no_more(tmp_path):
    async def scenario(clock, *processes):
        gates = [one.gate(per="ip", limit="50/day") for one in processes]
        answers = await asyncio.gather(*(passing(gates[number % 2], 1) for number in range(80)))
        assert sum(answers) == 50

    in_files(scenario, tmp_path)


def test_a_restart_forgets_nothing(tmp_path):
    async def scenario(clock, one, other):
        assert await passing(one.gate(per="ip", limit="10/day"), 6) == 6
        await one.blocks.put_back(everything=True)
        assert await passing(other.gate(per="ip", limit="10/day")) == 4

    in_files(scenario, tmp_path)


def test_most_calls_do_not_wait_for_the_disk(tmp_path):
    async def scenario(clock, one):
        built = one.gate(per="ip", limit="100000/day")
        asked = 0
        for _ in range(2000):
            exchange = make_exchange()
            verdict = built.check(exchange)
            asked += verdict is PENDING
            if verdict is PENDING:
                verdict = await built.wait(exchange)
            assert verdict is None
        assert asked < 20

    in_files(scenario, tmp_path, 1)


def test_what_nobody_spends_is_put_back(tmp_path):
    async def scenario(clock, one, other):
        built = one.gate(per="ip", limit="320/day")
        assert await passing(built, 40) == 40
        assert one.blocks.in_hand(next(iter(one.blocks._hands))) > 0
        await one.blocks.put_back()
        await one.blocks.put_back()
        assert not one.blocks._hands
        assert await passing(other.gate(per="ip", limit="320/day"), 400) == 280

    in_files(scenario, tmp_path)


def test_given_back_calls_are_there_again(tmp_path):
    async def scenario(clock, one):
        built = one.gate(per="ip", limit="3/day")
        for _ in range(8):
            exchange = make_exchange()
            assert await ask(built, exchange) is None
            close(exchange)
        assert await passing(built) == 3

    in_files(scenario, tmp_path, 1)


def test_a_file_that_cannot_be_written(tmp_path, caplog):
    async def scenario(clock, one):
        built = one.gate(per="ip", limit="6/day")
        strict = one.gate(per="ip", limit="6/day", name="strict", on_store_error="deny")
        assert await passing(built, 2) == 2

        async def broken(operation):
            raise StoreError("disk full")

        run, one.backend.run = one.backend.run, lambda operation, namespace=None: broken(operation)
        assert await passing(built) == 4
        assert await passing(strict) == 0
        one.backend.run = run
        leading = asyncio.ensure_future(one.blocks._fallback.run())
        for _ in range(200):
            if not one.blocks._fallback.away:
                break
            await asyncio.sleep(0.01)
        leading.cancel()
        clock.advance(1)
        assert await passing(built) == 0
        assert await passing(strict) == 6

    in_files(scenario, tmp_path, 1)
    assert "they go on with this process's share" in caplog.text


# --- mistakes


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"per": "ip"}, "needs `limit`"),
        ({"scope": "gateway"}, "scope without limit"),
        ({"limit": "0/day"}, "quota of zero"),
        ({"limit": "5/year"}, "not a quota"),
        ({"limit": 5}, "not a quota"),
        ({"limit": "5/day", "timezone": "Mars/Olympus"}, "no such time zone"),
        ({"limit": "5/day", "timezone": "../etc/passwd"}, "no such time zone"),
        ({"limit": "5/day", "timezone": "Europe"}, "no such time zone"),
        ({"limit": "5/day", "timezone": ""}, "no such time zone"),
        ({"limit": "5/day", "warn": "180%"}, "not a share"),
        ({"limit": "5/day", "count": "some"}, "forwarded"),
    ],
)
def test_mistakes_are_told(config, word):
    with pytest.raises(ValidationError, match=word):
        QuotaConfig(**config)


def complaints(config, **context):
    found = POLICY.check(QuotaConfig(**config), CheckContext(**{"level": Level.ROUTE, **context}))
    return [(complaint.path, complaint.level) for complaint in found]


def test_what_makes_no_sense_beside_the_rest():
    config = {"per": "ip", "limit": "1/day"}
    respond, forward = SimpleNamespace(upstream=None), SimpleNamespace(upstream="x")
    assert complaints(config, route=forward) == []
    assert complaints(config, route=respond) == [(("count",), "warning")]
    assert complaints({**config, "count": "all"}, route=respond) == []
    assert (("scope",), "error") in complaints({**config, "scope": "upstream"}, route=respond)
    assert complaints({**config, "scope": "route"}, level=Level.GLOBAL) == [(("scope",), "warning")]
    assert complaints({**config, "store": "memory"}) == [(("store",), "warning")]
