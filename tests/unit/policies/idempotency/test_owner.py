"""A key between its claim and its first byte, leases of living owners, and answers under a key."""

import asyncio
from itertools import count

import pytest

from gateway.api.errors import RequestRefused, StoreError, UpstreamError
from gateway.api.messages import Headers, Response
from gateway.testing.clock import FakeClock
from gateway.testing.store import RemoteStore
from gateway.testing.turns import a_turn, until
from policies.idempotency.config import IdempotencyConfig
from policies.idempotency.core import State
from policies.idempotency.lasting import MOST, Afterwards, Leases
from policies.idempotency.operations import Claim, Complete, Extend, Lose, Release
from policies.idempotency.policy import build
from tests.unit.policies.idempotency.test_policy import CREATED, KEY, code, play


def sending(world, then=None):
    """An upstream that says when its first byte is about to leave, as clients of upstreams do."""

    async def upstream(exchange):
        exchange.sent = False
        world.executed -= 1
        assert await world.state() is State.CLAIMED
        if then is not None:
            await then()
        await exchange.before_send()
        exchange.sent = True
        world.executed += 1
        assert await world.state() is State.SENDING
        await exchange.before_send()  # another try of the same call
        return CREATED

    return upstream


def test_what_must_wait_is_claimed_first():
    async def scenario(world):
        exchange = world.exchange()
        assert (await world.call(sending(world), exchange=exchange)).status == 201
        assert exchange.before_send is None
        assert (await world.call()).headers.get(b"idempotency-replayed") == b"true"
        assert world.scope.counts() == {"claimed": 1, "sending": 1, "final": 1, "replayed": 1}

    play(scenario, ready=False)


def test_calls_that_come_together_are_counted_against_what_is_ready():
    class Waiting(RemoteStore):
        async def run(self, operation, prefix):
            await a_turn()
            return await super().run(operation, prefix)

    async def scenario(world):
        asked = []
        world.scope.stores[None] = Waiting(world.clock).scoped("idempotency")
        world.scope.ready = lambda others: asked.append(others) or True
        world.layer = build(IdempotencyConfig(), world.scope)
        await asyncio.gather(*(world.call(key=f"k{number}") for number in range(3)))
        await world.call(key="k3")
        assert asked == [0, 1, 2, 0]

    play(scenario)


def test_a_gateway_that_dies_before_the_first_byte_leaves_the_key_free():
    async def scenario(world):
        async def waits(exchange):
            exchange.sent = False
            assert await world.state() is State.CLAIMED
            world.clock.advance(119)
            assert (await world.call()).status == 409
            world.clock.advance(1)
            assert await world.state() is State.FREE
            assert (await world.call(sending(world))).status == 201  # another takes it
            with pytest.raises(UpstreamError) as refused:
                await exchange.before_send()  # the first goes on
            assert not refused.value.sent
            raise refused.value

        late = await world.call(waits)
        assert (late.status, code(late)) == (503, "idempotency.too-late")
        assert (await world.call()).headers.get(b"idempotency-replayed") == b"true"

    play(scenario, ready=False)


@pytest.mark.parametrize(("choice", "status", "executed"), [("deny", 503, 0), ("allow", 201, 1)])
def test_a_store_that_goes_away_between_claim_and_first_byte(choice, status, executed):
    async def scenario(world):
        async def upstream(exchange):
            exchange.sent = False
            world.executed -= 1
            world.remote.down = True
            await exchange.before_send()
            exchange.sent = True
            world.executed += 1
            return CREATED

        answer = await world.call(upstream)
        assert (answer.status, world.executed) == (status, executed)
        world.remote.down = False
        if choice == "deny":
            assert code(answer) == "idempotency.store-unavailable"

            async def free():
                return await world.state() is State.FREE

            async with asyncio.timeout(10):
                while not await free():
                    await asyncio.get_running_loop().run_in_executor(None, lambda: None)

    play(scenario, ready=False, on_store_error=choice)


def test_after_an_unknown_call_a_later_one_that_was_not_executed_frees_nothing():
    async def scenario(world):
        await world.call(Response(504, Headers(), b""))
        assert await world.state() is State.UNKNOWN
        for answer, sent in ((Response(429, Headers(), b""), True), (Response(503, Headers(), b""), False)):
            assert (await world.call(answer, sent=sent)).status == answer.status
            assert await world.state() is State.UNKNOWN
        assert (await world.call(body=b"other")).status == 422
        assert (await world.call()).status == 201
        assert (await world.call()).headers.get(b"idempotency-replayed") == b"true"

    play(scenario, on_unknown="retry")


def test_leases_of_living_owners_are_extended():
    async def scenario(world):
        leases = world.layer._ledger.leases

        async def long(exchange):
            for _ in range(5):
                world.clock.advance(100)
                await leases.extend_due()
            assert (await world.call()).status == 409
            assert await world.state() is State.SENDING
            world.remote.down = True
            await leases.extend_due()  # the next look tries again
            world.remote.down = False
            return CREATED

        assert (await world.call(long)).status == 201
        assert (await world.call()).headers.get(b"idempotency-replayed") == b"true"
        before = world.remote.operations
        world.clock.advance(100)
        await leases.extend_due()
        assert world.remote.operations == before, "nothing is held any more"

    play(scenario)


def test_only_leases_that_are_due_are_extended():
    class Held:
        def __init__(self, lease_end):
            self.lease_end = lease_end
            self.extended = 0

        async def extend(self):
            self.extended += 1

    async def scenario():
        clock = FakeClock()
        leases = Leases(clock.monotonic, 0.04)
        fresh, old = Held(clock.monotonic() + 0.04), Held(clock.monotonic() + 0.02)
        leases.hold(fresh)
        leases.hold(old)
        await until(lambda: old.extended > 1)  # the loop's own timer
        assert fresh.extended == 0
        leases.let_go(old)
        leases.let_go(fresh)
        await until(lambda: leases._timer is None)

    asyncio.run(scenario())


def test_what_waits_for_its_store_is_bounded():
    class Away:
        async def run(self, operation):
            raise StoreError("away")

    async def scenario():
        afterwards = Afterwards(FakeClock().monotonic)

        class Lost:
            value = 0

        for number in range(MOST + 3):
            afterwards.try_again(Away(), Release(str(number), "o"), 1e12, Lost)
        assert Lost.value == 3

    asyncio.run(scenario())


SECRETS = ["0f" * 32, "1e" * 32]


def test_answers_are_kept_under_a_key():
    async def scenario(world):
        def build_with(*secrets):
            world.layer = build(
                IdempotencyConfig.model_construct(**{**BASE, "encrypt": "\n".join(secrets)}), world.scope
            )

        build_with(SECRETS[0])
        assert (await world.call()).status == 201
        (kept,) = [value for slice_ in world.remote._memory._values._slices for value, _ in slice_.values()]
        assert CREATED.body not in kept
        assert (await world.call()).body == CREATED.body
        build_with(SECRETS[1], SECRETS[0])
        assert (await world.call()).body == CREATED.body
        assert (await world.call(body=b"other")).status == 422
        build_with(SECRETS[1])
        gone = await world.call()
        assert (gone.status, code(gone), world.executed) == (409, "idempotency.unreadable", 1)

    play(scenario)


BASE = IdempotencyConfig().__dict__


def test_bodies_that_mean_the_same_are_one_request():
    async def scenario(world):
        await world.call(body=b'{"a": 1, "b": 2}')
        assert (await world.call(body=b'{"b":2,"a":1.0}')).headers.get(b"idempotency-replayed") == b"true"
        assert (await world.call(body=b'{"b":2,"a":1.5}')).status == 422

    play(scenario, canonical_json=True)


def test_other_policies_know_that_a_call_has_a_key():
    async def scenario(world):
        exchange = world.exchange(key=None)
        exchange.request.headers.append((b"x-key", b"k"))
        await world.call(exchange=exchange)
        assert exchange.keyed
        plain = world.exchange(key=None)
        await world.call(exchange=plain)
        assert not plain.keyed

    play(scenario, header="X-Key", required=False)


def test_changes_are_whole_or_nothing():
    """A change of what is not there, or is another's, changes nothing and says so."""

    async def scenario(world):
        store = world.scope.stores[None].within("orders")
        tokens = count()
        for change in (Lose, Release, Extend):
            assert not (await store.run(change(KEY, f"o{next(tokens)}"))).done
        assert await store.run(Claim(KEY, "owner", "f", "body", 10, 100)) is None
        for change in (Lose, Release, Extend):
            assert await store.run(change(KEY, "other")) == (State.SENDING, False)

    play(scenario)


@pytest.mark.parametrize(
    "fault", [RequestRefused(403, "upstream.no-token", "no"), asyncio.CancelledError()], ids=["refused", "cancelled"]
)
def test_what_ends_before_the_first_byte_was_announced_frees_the_key(fault):
    async def scenario(world):
        with pytest.raises(type(fault)):
            await world.call(fault)  # the exchange says that a byte may have left; the owner knows better

        async with asyncio.timeout(10):
            while await world.state() is not State.FREE:
                await a_turn()

    play(scenario, ready=False)


def test_the_lease_is_longer_than_the_deadline_whatever_is_configured():
    async def scenario(world):
        async def long(exchange):
            world.clock.advance(299)
            assert (await world.call()).status == 409
            return CREATED

        exchange = world.exchange()
        exchange.deadline += 270  # a route's own timeout beside an inherited policy
        assert (await world.call(long, exchange=exchange)).status == 201

    play(scenario)


def test_an_outcome_is_written_though_its_exchange_was_cancelled_meanwhile():
    class Slow(RemoteStore):
        async def run(self, operation, prefix):
            if isinstance(operation, Complete) and not reached.is_set():
                reached.set()
                await asyncio.Event().wait()
            return await super().run(operation, prefix)

    reached = asyncio.Event()

    async def scenario(world):
        world.scope.stores[None] = Slow(world.clock).scoped("idempotency")
        world.layer = build(IdempotencyConfig(), world.scope)
        call = asyncio.ensure_future(world.call())
        await reached.wait()
        call.cancel()
        async with asyncio.timeout(10):
            while await world.state() is not State.FINAL:
                await a_turn()
        assert (await world.call()).body == CREATED.body
        assert world.executed == 1

    play(scenario)
