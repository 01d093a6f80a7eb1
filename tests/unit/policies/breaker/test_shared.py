"""breaker, shared: two workers with memory of their own and one store between them."""

import asyncio

import pytest

from gateway.api.errors import Cause, UpstreamError
from gateway.api.policy import Level
from gateway.testing.clock import FakeClock
from gateway.testing.exchange import FakeScope, close, make_exchange, run_layer
from gateway.testing.store import RemoteStore
from gateway.testing.turns import until
from policies.breaker import POLICY
from policies.breaker.config import BreakerConfig

RESET = UpstreamError(Cause.RESET, "head", sent=True)


class Worker:
    def __init__(self, clock, store):
        self.scope = FakeScope(policy="breaker", level=Level.UPSTREAM, clock=clock)
        self.scope.stores[None] = store.scoped("breaker")
        self.layer = POLICY.build(BreakerConfig(failures=1, open=30.0), self.scope)
        (self.run,) = self.scope.spawned.values()
        self.board = self.layer._circuit.board

    def call(self, fault=None):
        exchange = make_exchange()
        try:
            return run_layer(self.layer, exchange, fault).status if fault else run_layer(self.layer, exchange).status
        except UpstreamError:
            return "reset"
        finally:
            close(exchange)

    def turn(self):
        asyncio.run(self.board.turn())


@pytest.fixture
def clock():
    return FakeClock(1_000.0)


@pytest.fixture
def store(clock):
    return RemoteStore(clock)


@pytest.fixture
def workers(clock, store):
    return Worker(clock, store), Worker(clock, store)


def turns(*workers):
    for worker in workers:
        worker.turn()


def test_one_that_opens_opens_the_others(workers):
    one, other = workers
    one.call(RESET)
    assert other.call() == 200
    turns(one, other)
    assert (one.call(), other.call()) == (503, 503)


def test_only_the_owner_sends_probes_and_the_others_close_with_it(workers, clock):
    one, other = workers
    one.call(RESET)
    for _ in range(31):
        turns(one, other)
        clock.advance(1.0)
    turns(other)
    assert other.call() == 503
    assert one.call() == 200
    turns(one, other)
    assert other.call() == 200


def test_a_probe_that_fails_keeps_all_of_them_open(workers, clock):
    one, other = workers
    one.call(RESET)
    for seconds in range(62):
        if seconds == 31:
            assert one.call(RESET) == "reset"
        turns(one, other)
        clock.advance(1.0)
    assert one.call() == 200
    assert other.call() == 503


def test_when_the_owner_dies_the_others_send_their_own(workers, clock):
    one, other = workers
    one.call(RESET)
    turns(one, other)
    for _ in range(36):
        clock.advance(1.0)
        other.turn()
    clock.advance(2.0)
    assert other.call() == 200


def test_two_that_open_at_once_have_one_owner(workers, clock):
    one, other = workers
    one.call(RESET)
    other.call(RESET)
    for _ in range(31):
        turns(one, other)
        clock.advance(1.0)
    turns(one, other)
    assert (other.call(), one.call()) == (503, 200)


def test_while_the_store_is_away_each_goes_by_itself(workers, store, clock, caplog):
    one, other = workers
    store.down = True
    one.call(RESET)
    turns(one, other, one, other)
    assert (one.call(), other.call()) == (503, 200)
    assert len([line for line in caplog.messages if "away" in line]) == 2  # once for each worker
    clock.advance(30.0)
    assert one.call() == 200


def test_what_the_store_did_not_take_is_told_when_it_is_back(workers, store, clock):
    one, other = workers
    store.down = True
    one.call(RESET)
    turns(one, other)
    store.down = False
    turns(one, other)
    assert other.call() == 503

    clock.advance(30.0)
    other.turn()
    assert (one.call(), other.call()) == (200, 503)
    store.down = True
    turns(one)
    store.down = False
    turns(one, other)
    assert other.call() == 200


def test_an_opening_that_nobody_heard_of_closes_nobody_else(workers, store, clock):
    one, other = workers
    store.down = True
    one.call(RESET)
    turns(one)
    clock.advance(30.0)
    assert one.call() == 200
    turns(one)
    store.down = False
    other.call(RESET)
    turns(other, one)
    assert (one.call(), other.call()) == (503, 503)


def test_a_call_never_touches_the_store(workers, store):
    one, _ = workers
    one.call()
    one.call(RESET)
    one.call()
    assert store.operations == 0


def test_in_memory_there_is_nothing_to_poll():
    scope = FakeScope(policy="breaker", level=Level.UPSTREAM)
    POLICY.build(BreakerConfig(), scope)
    assert scope.spawned == {}


def test_it_takes_part_until_it_is_cancelled(workers, store):
    one, _ = workers

    async def scene():
        running = asyncio.ensure_future(one.run())
        await until(lambda: store.operations)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(scene())
