"""cache over a store that processes share, or that outlives them: two gateways are two stages with one store."""

import asyncio

import pytest

from gateway.api.errors import StoreError
from gateway.api.messages import Headers
from gateway.api.orders import LastUses, Purge
from gateway.api.standing import Standing
from gateway.testing.clock import FakeClock
from gateway.testing.exchange import FakeScope, make_principal
from gateway.testing.store import RemoteStore
from gateway.testing.turns import until
from policies.cache.collapse import MARKER_S
from policies.cache.config import CacheConfig
from policies.cache.core import keep
from policies.cache.policy import MOST_FAULTS, CacheLayer
from policies.cache.record import decode, encode
from policies.cache.shared import LONGEST_S, MOST_PURGES_BYTES
from policies.cache.terms import Rules, terms_of
from tests.unit.policies.cache.test_cache import ACME, FRESH, RESET, Stage, reply, status_of

AT_A = ("https://api.example/a", "orders")


class Pair:
    """`one` and `other` are gateways; `own` makes the store this machine's own, as a file is."""

    def __init__(self, *answers, own=False, **config):
        self.clock = FakeClock()
        self.store = RemoteStore(self.clock)
        self.store.standing = Standing(own=own)
        self.answers, self.config = answers, config
        self.one, self.other = self.gateway(), self.gateway()

    def gateway(self):
        scope = FakeScope(policy="cache", name="cache", clock=self.clock)
        scope.stores[None] = self.store.scoped("cache")
        return Stage(*self.answers, scope=scope, **self.config)


async def settled(*stages):
    for stage in stages:
        await until(lambda stage=stage: not stage.layer.shared._writes)


def play(scene):
    asyncio.run(scene())


def test_what_one_gateway_stored_another_serves():
    async def scene():
        pair = Pair(reply(etag='"a"', cache_tag="t", **FRESH))
        await pair.one.begin()
        await settled(pair.one)
        pair.clock.advance(7)
        answer = await pair.other.begin()
        assert (answer.body, answer.headers.get(b"age")) == (b"hello", b"7")
        assert status_of(answer) == "sluicegate; hit; ttl=53"
        assert pair.other.seen == []
        pair.clock.advance(53)
        await pair.other.begin()
        assert pair.other.seen[0].get(b"if-none-match") == b'"a"'

    play(scene)


def test_a_hit_asks_whether_it_still_stands_and_moves_nothing():
    async def scene():
        pair = Pair(reply(**FRESH))
        await pair.one.begin()
        await settled(pair.one)
        before = pair.store.operations
        for _ in range(3):
            assert "hit" in status_of(await pair.one.begin())
        assert pair.store.operations - before == 3

    play(scene)


@pytest.mark.parametrize(
    "order", [Purge(url="https://api.example/a"), Purge(prefix="https://api.example/"), Purge(tag="t")]
)
@pytest.mark.parametrize("held", [True, False])
def test_a_purge_reaches_every_gateway(order, held):
    async def scene():
        pair = Pair(reply(cache_tag="t", **FRESH))
        await pair.one.begin()
        await settled(pair.one)
        if held:
            await pair.other.begin()
        pair.clock.advance(1)
        pair.one.store.carry_out(order)
        assert pair.one.layer.shared.carry_out(order) is None
        await settled(pair.one)
        await pair.other.layer.shared.hear()
        pair.clock.advance(1)
        for stage in (pair.other, pair.one):
            assert "fwd=uri-miss" in status_of(await stage.begin("GET", "/a"))
            await settled(stage)
            assert "hit" in status_of(await stage.begin())
            pair.one.layer.shared.carry_out(Purge(url="https://api.example/a"))
            await settled(pair.one)

    play(scene)


def test_in_shadow_it_keeps_apart_and_serves_nothing():
    async def scene():
        pair = Pair(reply(**FRESH))
        scope = pair.one.scope.like(shadow=True, name="cache")
        shadow = Stage(reply(**FRESH), scope=scope, mode="shadow")
        for _ in range(2):
            assert (await shadow.begin()).headers.get(b"cache-status") is None
            await settled(shadow)
        assert scope.counts() == {"miss": 1, "store": 1, "hit": 1}
        assert "fwd=uri-miss" in status_of(await pair.other.begin())

    play(scene)


def test_an_order_for_others_is_no_concern():
    assert Pair(reply()).one.layer.shared.carry_out(LastUses()) is None


def test_an_unsafe_request_is_heard_by_every_gateway():
    async def scene():
        pair = Pair(reply(**FRESH))
        await pair.one.begin()
        await settled(pair.one)
        assert "hit" in status_of(await pair.other.begin())
        await pair.one.begin("POST")
        await settled(pair.one)
        assert "fwd=uri-miss" in status_of(await pair.other.begin())

    play(scene)


def test_an_answer_that_was_on_its_way_meanwhile_is_kept_by_nobody():
    async def scene():
        pair = Pair(reply(**FRESH))
        pair.one.gate = asyncio.Event()
        caller = asyncio.ensure_future(pair.one.begin())
        await until(lambda: pair.one.seen)
        await pair.other.begin("POST")
        await settled(pair.other)
        pair.one.gate.set()
        await caller
        await settled(pair.one)
        for stage in (pair.one, pair.other):
            assert "fwd=uri-miss" in status_of(await stage.begin())
            await pair.other.begin("POST")
            await settled(pair.one, pair.other)

    play(scene)


def test_variants_and_owners_stay_apart():
    async def scene():
        pair = Pair(reply(vary="accept", **FRESH))
        for kind in ("a", "b"):
            await pair.one.begin(headers=[("Accept", kind)], principal=ACME)
            await settled(pair.one)
        assert "hit" in status_of(await pair.other.begin(headers=[("Accept", "a")], principal=ACME))
        assert "hit" in status_of(await pair.other.begin(headers=[("Accept", "b")], principal=ACME))
        assert "vary-miss" in status_of(await pair.other.begin(headers=[("Accept", "c")], principal=ACME))
        stranger = make_principal("stranger")
        assert "uri-miss" in status_of(await pair.other.begin(headers=[("Accept", "a")], principal=stranger))

    play(scene)


def test_without_the_store_the_cache_is_bypassed():
    async def scene():
        pair = Pair(reply(**FRESH))
        await pair.one.begin()
        await settled(pair.one)
        pair.store.down = True
        answer = await pair.one.begin()
        assert status_of(answer) == "sluicegate; fwd=bypass; detail=store; fwd-status=200; stored"
        answer = await pair.one.begin()  # what memory holds may have been forgotten by all others
        assert status_of(answer) == "sluicegate; fwd=bypass; detail=store; fwd-status=200; stored"
        answer = await pair.one.begin(headers=[("Cache-Control", "only-if-cached")])
        assert answer.status == 504
        pair.store.down = False
        assert "hit" in status_of(await pair.one.begin())

    play(scene)


@pytest.mark.parametrize("asks", ["one", "other"])
@pytest.mark.parametrize(
    "order", [Purge(url="https://api.example/a"), Purge(prefix="https://api.example/"), Purge(tag="t")]
)
def test_what_was_to_be_forgotten_while_the_store_was_away_is_served_by_nobody_afterwards(order, asks):
    async def scene():
        pair = Pair(reply(cache_tag="t", **FRESH))
        await pair.one.begin()
        await settled(pair.one)
        await pair.other.begin()
        pair.clock.advance(1)
        pair.store.down = True
        pair.one.store.carry_out(order)
        pair.one.layer.shared.carry_out(order)
        await settled(pair.one)
        await pair.one.layer.shared.hear()
        assert "detail=store" in status_of(await pair.one.begin("GET", "/other"))
        pair.store.down = False
        if asks == "other":
            await pair.one.layer.shared.hear()
            await pair.other.layer.shared.hear()
        pair.clock.advance(1)
        assert "fwd=uri-miss" in status_of(await getattr(pair, asks).begin())

    play(scene)


def test_an_unsafe_call_while_the_store_is_away_invalidates_before_the_next_look():
    async def scene():
        pair = Pair(reply(**FRESH))
        await pair.one.begin()
        await settled(pair.one)
        pair.store.down = True
        await pair.one.begin("POST")
        await settled(pair.one)
        pair.store.down = False
        assert "fwd=uri-miss" in status_of(await pair.one.begin())

    play(scene)


def test_when_too_much_is_to_be_forgotten_everything_is(monkeypatch):
    monkeypatch.setattr("policies.cache.shared.MOST_OWED", 3)

    async def scene():
        pair = Pair(reply(**FRESH))
        await pair.one.begin()
        await settled(pair.one)
        pair.clock.advance(1)
        pair.store.down = True
        for number in range(5):
            pair.one.layer.shared.invalidate(f"https://api.example/{number}")
        await settled(pair.one)
        assert len(pair.one.layer.shared._owed) <= 3
        pair.store.down = False
        await pair.one.layer.shared.hear()
        assert "fwd=uri-miss" in status_of(await pair.one.begin())

    play(scene)


def test_without_the_store_callers_of_one_gateway_share_a_call():
    async def scene():
        pair = Pair(reply(**FRESH))
        pair.store.down = True
        pair.one.gate = asyncio.Event()
        crowd = [asyncio.ensure_future(pair.one.begin()) for _ in range(5)]
        await until(lambda: any(len(flight._waiters) == 4 for flight in pair.one.layer.flights.under_way.values()))
        pair.one.gate.set()
        answers = [status_of(answer) for answer in await asyncio.gather(*crowd)]
        assert answers[0] == "sluicegate; fwd=bypass; detail=store; fwd-status=200; stored"
        assert answers[1:] == ["sluicegate; fwd=bypass; detail=store; collapsed; ttl=60"] * 4

    play(scene)


def test_a_write_that_fails_is_counted():
    async def scene():
        pair = Pair(reply(**FRESH))
        pair.one.gate = asyncio.Event()
        caller = asyncio.ensure_future(pair.one.begin())
        await until(lambda: pair.one.seen)
        pair.store.down = True
        pair.one.gate.set()
        assert (await caller).body == b"hello"
        await settled(pair.one)
        assert pair.one.scope.counts()["unkept"] == 2  # the answer, and the lease

    play(scene)


def test_callers_of_one_cold_key_at_several_gateways_make_one_call():
    async def scene():
        pair = Pair(reply(**FRESH))
        stages = [pair.one, pair.other, pair.gateway()]
        pair.one.gate = asyncio.Event()
        callers = [asyncio.ensure_future(pair.one.begin())]
        await until(lambda: pair.one.seen)
        callers += [asyncio.ensure_future(stage.begin()) for stage in stages for _ in range(10)]
        await until(lambda: all(stage.layer.flights.under_way for stage in stages))
        pair.one.gate.set()
        answers = await asyncio.gather(*callers)
        assert {answer.body for answer in answers} == {b"hello"}
        assert sum(len(stage.seen) for stage in stages) == 1
        assert "collapsed" in status_of(answers[-1])
        assert all(not stage.layer.flights.under_way for stage in stages)

    play(scene)


def test_who_gets_a_lease_that_was_just_given_back_looks_before_it_calls():
    async def scene():
        pair = Pair(reply(**FRESH))
        shared = pair.other.layer.shared
        claim = shared.claim

        async def late(*args):
            await pair.one.begin()
            await settled(pair.one)
            return await claim(*args)

        shared.claim = late
        assert "collapsed" in status_of(await pair.other.begin())
        await settled(pair.other)
        assert (len(pair.one.seen), len(pair.other.seen)) == (1, 0)
        assert await pair.one.layer.shared.claim(AT_A, 3.0) is None  # given back

    play(scene)


def test_the_next_in_line_waits_for_the_other_gateway_too():
    async def scene():
        pair = Pair(reply(**FRESH))
        pair.one.gate = asyncio.Event()
        caller = asyncio.ensure_future(pair.one.begin())
        await until(lambda: pair.one.seen)
        first, second = (asyncio.ensure_future(pair.other.begin()) for _ in range(2))
        await until(lambda: any(flight._waiters for flight in pair.other.layer.flights.under_way.values()))
        first.cancel()
        await until(first.done)
        pair.one.gate.set()
        assert "collapsed" in status_of(await second)
        assert (await caller).body == b"hello"
        assert (len(pair.one.seen), len(pair.other.seen)) == (1, 0)
        assert not pair.other.layer.flights.under_way

    play(scene)


@pytest.mark.parametrize("operation", ["claim", "run"])
@pytest.mark.parametrize(("faults", "calls"), [(MOST_FAULTS - 1, 0), (MOST_FAULTS, 1)])
def test_a_store_that_is_there_but_late_is_asked_again(operation, faults, calls):
    async def scene():
        pair = Pair(reply(**FRESH))
        pair.one.gate = asyncio.Event()
        caller = asyncio.ensure_future(pair.one.begin())
        await until(lambda: pair.one.seen)
        ask, left = (
            getattr(pair.store, operation),
            faults + (operation == "run"),
        )  # the look before the lease is the first

        async def late(*args):
            nonlocal left
            if left:
                left -= 1
                raise StoreError("no answer within 10 ms")
            return await ask(*args)

        waiting = asyncio.ensure_future(pair.other.begin())
        setattr(pair.store, operation, late)
        await until(lambda: not left)
        pair.one.gate.set()
        await waiting
        assert (await caller).body == b"hello"
        assert len(pair.other.seen) == calls

    play(scene)


def test_an_answer_that_cannot_be_stored_holds_no_other_gateway_back():
    async def scene():
        pair = Pair(reply(cache_control="no-store"))
        await pair.one.begin()
        await settled(pair.one)
        await pair.other.begin()
        assert len(pair.other.seen) == 1
        pair.clock.advance(MARKER_S)
        await pair.other.begin()
        await settled(pair.other)

    play(scene)


def test_a_gateway_that_died_holds_others_no_longer_than_their_deadline():
    async def scene():
        pair = Pair(reply(**FRESH))
        pair.one.layer.shared.token = b"dead"
        assert await pair.one.layer.shared.claim(AT_A, 3.0) is None
        caller = asyncio.ensure_future(pair.other.begin())
        await until(lambda: pair.other.layer.flights.under_way)
        pair.clock.advance(3.0)
        assert (await caller).body == b"hello"
        assert len(pair.other.seen) == 1

    play(scene)


def test_a_fault_gives_the_lease_back():
    async def scene():
        pair = Pair(RESET, reply(**FRESH))
        with pytest.raises(type(RESET)):
            await pair.one.begin()
        await settled(pair.one)
        assert await pair.other.layer.shared.claim(AT_A, 3.0) is None

    play(scene)


def test_a_file_fills_memory_anew_after_a_restart_and_is_asked_for_misses_only():
    async def scene():
        pair = Pair(reply(etag='"a"', **FRESH), own=True)
        await pair.one.begin()
        await settled(pair.one)
        before = pair.store.operations
        assert "hit" in status_of(await pair.one.begin())
        assert "hit" in status_of(await pair.one.begin(headers=[("If-None-Match", '"a"')]))
        assert pair.store.operations == before
        restarted = pair.gateway()
        assert "hit" in status_of(await restarted.begin())
        pair.store.down = True
        assert "hit" in status_of(await restarted.begin())
        assert "uri-miss" in status_of(await restarted.begin(target="/b"))

    play(scene)


def entry(text, body=b"body", request=(), wall=1_800_000_000.0):
    rules = Rules()
    headers = Headers((name.encode(), value.encode("latin-1")) for name, value in text)
    asked = Headers((name.encode(), value.encode()) for name, value in request)
    return keep(200, headers, body, asked, terms_of(headers, wall, rules), rules, now=50.0, wall=wall, delay_s=0.0)


@pytest.mark.parametrize(
    ("fields", "request_fields"),
    [
        ([("cache-control", "max-age=60"), ("etag", '"\xe4"')], []),
        ([("cache-control", "max-age=60"), ("vary", "accept, x-b")], [("accept", "a")]),
        ([("cache-control", "max-age=60"), ("content-encoding", "gzip")], []),
        ([("sluicegate-cache-control", "max-age=60"), ("cache-control", "no-store"), ("cache-tag", "a b")], []),
        ([("cache-control", "no-cache")], []),
        ([("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")], []),
    ],
)
def test_a_record_reads_back_as_it_was_and_older(fields, request_fields):
    stored = entry(fields, b"\x00\xff", request_fields)
    back = decode(encode(stored, now=55.0, wall=1_800_000_005.0), Rules(), now=3.0, wall=1_800_000_010.0)
    for name in ("kind", "values", "body", "lifetime_s", "selector", "etag", "last_modified", "size"):
        assert getattr(back, name) == getattr(stored, name), name
    assert back.headers == stored.headers
    assert back.age_s(3.0) == stored.age_s(60.0)
    assert back.fresh_for_s(3.0) == stored.fresh_for_s(60.0)


def test_a_newline_in_a_field_of_a_record_makes_no_fields_of_it():
    octets = encode(entry([("cache-control", "max-age=60"), ("x-a", "a b")]), now=50.0, wall=0.0)
    back = decode(octets.replace(b"a b", b"\\nb"), Rules(), now=0.0, wall=0.0)
    assert [value for name, value in back.headers if name == b"x-a"] == [b" b"]
    assert len(back.headers) == 3


def test_a_record_is_read_by_the_rules_of_now():
    octets = encode(entry([("cache-control", "max-age=600")]), now=50.0, wall=0.0)
    assert decode(octets, Rules(max_ttl_s=5.0), now=0.0, wall=0.0).lifetime_s == 5.0


@pytest.mark.parametrize(
    "octets", [b"", b"\0\0", b"\0\0\0\x02{}", b"\0\0\0\x04null", b"\xff\xff\xff\xff{}", b'\0\0\0\x0e{"status": "a"}']
)
def test_a_record_that_nobody_wrote_is_nothing(octets):
    assert decode(octets, Rules(), now=0.0, wall=0.0) is None


def test_purges_are_bounded_and_what_was_dropped_counts_for_all():
    async def scene():
        pair = Pair(reply(**FRESH))
        await pair.one.begin()
        await settled(pair.one)
        pair.clock.advance(1)
        for number in range(40):
            pair.other.layer.shared.carry_out(Purge(prefix=f"https://api.example/other/{number}" + "x" * 10_000))
            await settled(pair.other)
        octets = await pair.one.layer.shared._store.get("purges")
        assert len(octets) <= MOST_PURGES_BYTES
        await pair.one.layer.shared.hear()
        assert pair.one.store.all_pages() == []

    play(scene)


def test_nothing_is_kept_longer_than_invalidations_are_known():
    async def scene():
        pair = Pair(reply(cache_control="max-age=9999999"), max_ttl=9_999_999.0)
        await pair.one.begin()
        await settled(pair.one)
        pair.clock.advance(LONGEST_S)
        assert "uri-miss" in status_of(await pair.other.begin())

    play(scene)


def test_a_route_without_a_store_of_its_own_has_memory_alone():
    assert CacheLayer(CacheConfig(), FakeScope(policy="cache")).shared is None


def test_a_crowd_looks_once_and_a_look_that_fails_or_is_given_up_holds_nobody():
    async def scene():
        pair = Pair(reply(**FRESH))
        await pair.one.begin()
        await settled(pair.one)
        shared, store = pair.one.layer.shared, pair.store
        before = store.operations
        gate = asyncio.Event()
        run = store.run

        async def slow(*args):
            await gate.wait()
            return await run(*args)

        store.run = slow
        crowd = [asyncio.ensure_future(pair.one.begin()) for _ in range(10)]
        await until(lambda: any(len(waiters) == 9 for waiters in shared._looking.values()))
        crowd[0].cancel()
        await until(lambda: any(len(waiters) == 8 for waiters in shared._looking.values()))
        gate.set()
        answers = await asyncio.gather(*crowd, return_exceptions=True)
        assert {status_of(answer) for answer in answers[1:]} == {"sluicegate; hit; ttl=60"}
        assert store.operations - before == 1
        gate.clear()
        crowd = [asyncio.ensure_future(pair.one.begin()) for _ in range(3)]
        await until(lambda: any(len(waiters) == 2 for waiters in shared._looking.values()))
        store.down = True
        gate.set()
        answers = await asyncio.gather(*crowd)
        assert all("detail=store" in status_of(answer) for answer in answers)
        assert shared._looking == {}

    play(scene)


def test_who_asks_after_an_invalidation_is_not_told_what_was_seen_before():
    async def scene():
        pair = Pair(reply(**FRESH))
        await pair.one.begin()
        await settled(pair.one)
        gates = [asyncio.Event(), asyncio.Event()]
        run, waiting = pair.store.run, iter(gates)

        async def slow(*args):
            reply = await run(*args)
            gate = next(waiting, None)
            if gate is not None:
                await gate.wait()
            return reply

        pair.store.run = slow
        early = asyncio.ensure_future(pair.one.begin())
        await until(lambda: pair.one.layer.shared._looking)
        pair.one.layer.shared.invalidate("https://api.example/a")
        late = asyncio.ensure_future(pair.one.begin())
        await settled(pair.one)
        for gate in gates:
            gate.set()
        await early
        assert "fwd=uri-miss" in status_of(await late)

    play(scene)
