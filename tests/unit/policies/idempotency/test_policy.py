"""What callers of one key get, and when the upstream is called: the policy around a scripted upstream."""

import asyncio

import pytest

from gateway.api.errors import BadReply, Cause, StoreError, UpstreamError
from gateway.api.messages import Headers, Response
from gateway.testing.clock import FakeClock
from gateway.testing.exchange import BytesBody, FakeScope, make_exchange, make_principal
from gateway.testing.store import RemoteStore
from policies.idempotency.config import IdempotencyConfig
from policies.idempotency.core import State
from policies.idempotency.kept import Answer, Keyring
from policies.idempotency.operations import Changed, Discard, Settle, Show
from policies.idempotency.policy import build
from policies.idempotency.request import record_key

CREATED = Response(201, Headers([(b"x-a", b"1"), (b"date", b"then"), (b"set-cookie", b"s=1")]), b'{"id":7}')
KEY = record_key("consumer:acme", "k")


class World:
    """A gateway with one route, its store and its upstream; `executed` counts the calls of which bytes left."""

    def __init__(self, *, shadow=False, store=None, ready=True, **config):
        self.clock = FakeClock()
        self.scope = FakeScope(policy="idempotency", name="idempotency", clock=self.clock, shadow=shadow)
        self.scope.ready = lambda others: ready
        self.remote = RemoteStore(self.clock)
        self.scope.stores[None] = store or self.remote.scoped("idempotency")
        self.layer = build(IdempotencyConfig(**config), self.scope)
        self.executed = 0

    def exchange(self, *, key="k", body=b"{}", method="POST", who="acme", **others):
        headers = [] if key is None else [("Idempotency-Key", key)]
        made = make_exchange(
            method,
            "/orders",
            headers,
            body=BytesBody(body),
            principal=make_principal(who),
            started=self.clock.monotonic(),
            **others,
        )
        made.deadline = self.clock.monotonic() + 30
        return made

    async def call(self, answer=CREATED, *, sent=True, exchange=None, **request):
        exchange = exchange or self.exchange(**request)

        async def upstream(passed):
            passed.sent = passed.sent or sent
            self.executed += sent
            if callable(answer):
                return await answer(passed)
            if isinstance(answer, BaseException):
                raise answer
            return Response(answer.status, Headers(answer.headers), answer.body)

        return await self.layer.around(exchange, upstream)

    async def state(self):
        found = await self.scope.stores[None].within("orders").run(Show(KEY))
        return State.FREE if found is None else found.state


def code(response):
    return response.body.decode().partition('"code":"')[2].partition('"')[0]


def play(scenario, **world):
    asyncio.run(scenario(World(**world)))


def test_a_retry_gets_the_first_answer_byte_for_byte():
    async def scenario(world):
        first = await world.call()
        again = await world.call(key='"k"')
        assert (again.status, again.body) == (first.status, first.body)
        assert again.headers == [
            (b"x-a", b"1"),
            (b"set-cookie", b"s=1"),
            (b"date", b"Fri, 15 Jan 2027 08:00:00 GMT"),
            (b"idempotency-replayed", b"true"),
        ]
        assert world.executed == 1
        assert world.scope.counts() == {"claimed": 1, "sending": 1, "final": 1, "replayed": 1}

    play(scenario)


def test_another_request_under_the_key_is_refused():
    async def scenario(world):
        await world.call()
        other = await world.call(body=b"other")
        assert (other.status, code(other)) == (422, "idempotency.other-request")
        assert world.executed == 1

    play(scenario)


def test_one_partner_never_meets_another():
    async def scenario(world):
        await world.call()
        assert (await world.call(who="rocket")).headers.get(b"idempotency-replayed") is None
        assert world.executed == 2

    play(scenario)


@pytest.mark.parametrize(
    ("key", "refusal"), [(None, "idempotency.key-missing"), ("", "idempotency.key-malformed")], ids=["none", "empty"]
)
def test_a_key_is_demanded(key, refusal):
    async def scenario(world):
        answer = await world.call(key=key)
        assert (answer.status, code(answer), world.executed) == (400, refusal, 0)
        assert b"describedby" in (answer.headers.get(b"link") or b"")

    play(scenario)


def test_keys_are_not_demanded_where_they_need_not_be():
    async def scenario(world):
        await world.call(key=None)
        await world.call(key=None)
        assert world.executed == 2

    play(scenario, required=False)


def test_keys_of_other_methods_are_ignored():
    async def scenario(world):
        await world.call(method="GET")
        await world.call(method="GET")
        assert world.executed == 2

    play(scenario)


@pytest.mark.parametrize(
    ("answer", "sent", "state"),
    [
        (Response(409, Headers(), b""), True, State.FINAL),
        (Response(429, Headers(), b""), True, State.FREE),
        (Response(503, Headers(), b""), True, State.UNKNOWN),
        (Response(503, Headers(), b""), False, State.FREE),
        (UpstreamError(Cause.RESET, "head", sent=True), True, State.UNKNOWN),
        (UpstreamError(Cause.UNREACHABLE, "connect", sent=False), False, State.FREE),
        (BadReply("not XML"), True, State.UNKNOWN),
    ],
    ids=["final", "released", "unknown", "refused by the gateway", "reset", "not sent", "undecodable"],
)
def test_what_a_call_leaves_behind(answer, sent, state):
    async def scenario(world):
        if isinstance(answer, BaseException):
            with pytest.raises(type(answer)) as raised:
                await world.call(answer, sent=sent)
            assert raised.value is answer
        else:
            assert (await world.call(answer, sent=sent)).status == answer.status
        assert await world.state() is state
        await world.call()
        assert world.executed == sent + (state is State.FREE)

    play(scenario)


def test_a_second_call_while_the_first_runs():
    async def scenario(world):
        async def upstream(exchange):
            assert exchange.runs_on
            assert exchange.request.headers.get(b"accept-encoding") == b"identity"
            second = await world.call()
            assert (second.status, code(second)) == (409, "idempotency.in-flight")
            assert second.headers.get(b"retry-after") == b"1"
            return CREATED

        exchange = world.exchange()
        await world.call(upstream, exchange=exchange)
        assert not exchange.runs_on
        assert world.executed == 1

    play(scenario)


def test_others_wait_for_the_outcome():
    async def scenario(world):
        reached, ends = asyncio.Event(), asyncio.Event()

        async def upstream(exchange):
            reached.set()
            await ends.wait()
            return CREATED

        first = asyncio.ensure_future(world.call(upstream))
        await reached.wait()
        others = [asyncio.ensure_future(world.call()) for _ in range(20)]
        other = await world.call(body=b"other")
        assert other.status == 422
        ends.set()
        async with asyncio.timeout(10):
            assert {(one.status, one.body) for one in await asyncio.gather(first, *others)} == {(201, CREATED.body)}
        assert world.executed == 1

    play(scenario, in_flight="wait")


def test_a_dead_owner_leaves_an_unknown_outcome_that_operators_settle():
    async def scenario(world):
        async def dies(exchange):
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await world.call(dies)
        world.clock.advance(121)
        held = await world.call()
        assert (held.status, code(held)) == (409, "idempotency.outcome-unknown")
        store = world.scope.stores[None].within("orders")
        answer = Keyring(None).keep(Answer(200, (), b"done", settled_by="me"), KEY)
        assert await store.run(Settle(KEY, None, answer=answer)) == Changed(State.UNKNOWN, True)
        assert (await world.call()).body == b"done"
        assert await store.run(Discard(KEY, None)) == Changed(State.FINAL, True)
        await world.call()
        assert world.executed == 2

    play(scenario)


def test_an_unknown_outcome_is_sent_again_where_that_is_safe():
    async def scenario(world):
        with pytest.raises(UpstreamError):
            await world.call(UpstreamError(Cause.TIMEOUT, "head", sent=True))
        assert (await world.call(body=b"other")).status == 422
        assert (await world.call()).status == 201
        assert world.executed == 2

    play(scenario, on_unknown="retry")


def test_an_owner_that_was_held_up_changes_nothing_that_was_taken_over():
    async def scenario(world):
        async def late(exchange):
            world.clock.advance(121)
            assert (await world.call(Response(200, Headers(), b"second"))).body == b"second"
            return CREATED

        assert (await world.call(late)).body == CREATED.body
        assert (await world.call()).body == b"second"
        assert world.scope.counts()["fenced"] == 1

    play(scenario, on_unknown="retry")


def test_nothing_is_sent_once_the_deadline_is_over():
    class Stopped(RemoteStore):
        async def run(self, operation, prefix):
            done = await super().run(operation, prefix)
            if operation.__class__.__name__ == "Claim":
                self.clock.advance(31)
            return done

    async def scenario(world):
        stopped = Stopped(world.clock)
        stopped.clock = world.clock
        world.scope.stores[None] = stopped.scoped("idempotency")
        world.layer = build(IdempotencyConfig(), world.scope)
        answer = await world.call()
        assert (answer.status, code(answer), world.executed) == (503, "idempotency.too-late", 0)
        assert await world.state() is State.FREE

    play(scenario)


@pytest.mark.parametrize("whole", [True, False])
def test_an_answer_that_is_too_large_goes_out_once(whole):
    async def scenario(world):
        body = b"x" * 40 if whole else BytesBody(b"x" * 15, b"x" * 15, b"x" * 10, announced=40)
        first = await world.call(lambda _: given(Response(200, Headers(), body)))
        if not whole:
            pieces = b""
            while piece := await first.body.read():
                pieces += piece
            assert pieces == b"x" * 40
        again = await world.call()
        assert (again.status, code(again), world.executed) == (409, "idempotency.too-large", 1)

    play(scenario, max_response=20)


async def given(response):
    return response


def test_a_streamed_answer_is_kept_whole():
    async def scenario(world):
        first = await world.call(lambda _: given(Response(200, Headers(), BytesBody(b"a", b"b"))))
        assert first.body == b"ab"
        assert (await world.call()).body == b"ab"

    play(scenario)


def test_an_answer_that_breaks_off_is_unknown():
    class Broken(BytesBody):
        async def read(self):
            raise UpstreamError(Cause.RESET, "body", sent=True)

    async def scenario(world):
        with pytest.raises(UpstreamError):
            await world.call(lambda _: given(Response(200, Headers(), Broken())))
        assert await world.state() is State.UNKNOWN

    play(scenario)


@pytest.mark.parametrize(("choice", "status", "executed"), [("deny", 503, 0), ("allow", 201, 1)])
def test_without_its_store(choice, status, executed):
    async def scenario(world):
        world.remote.down = True
        assert (await world.call()).status == status
        assert world.executed == executed

    play(scenario, on_store_error=choice)


class Lossy(RemoteStore):
    """Does what it is asked, and loses the reply of the operations named."""

    def __init__(self, clock, *names):
        super().__init__(clock)
        self.names = list(names)

    async def run(self, operation, prefix):
        name = operation.__class__.__name__
        if name in self.names:
            self.names.remove(name)
            await super().run(operation, prefix)
            raise StoreError("the reply was lost")
        return await super().run(operation, prefix)


async def until(condition):
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)


def test_a_claim_whose_reply_was_lost_is_taken_back():
    async def scenario(world):
        world.scope.stores[None] = Lossy(world.clock, "Claim").scoped("idempotency")
        world.layer = build(IdempotencyConfig(), world.scope)
        assert (await world.call()).status == 503

        async def free():
            return await world.state() is State.FREE

        await until(free)
        assert (await world.call()).status == 201
        assert world.executed == 1

    play(scenario)


def test_an_outcome_that_could_not_be_written_is_given_and_written_later():
    async def scenario(world):
        async def upstream(exchange):
            world.remote.down = True
            return CREATED

        assert (await world.call(upstream)).body == CREATED.body
        world.remote.down = False

        async def final():
            return await world.state() is State.FINAL

        await until(final)
        assert (await world.call()).body == CREATED.body
        assert world.executed == 1

    play(scenario)


def test_a_lost_outcome_counts():
    async def scenario(world):
        async def upstream(exchange):
            world.remote.down = True
            return CREATED

        await world.call(upstream)
        world.clock.advance(121)

        async def lost():
            return world.scope.counts().get("outcome-lost") == 1

        await until(lost)

    play(scenario)


def test_a_record_is_compared_by_what_it_was_made_with():
    async def scenario(world):
        await world.call()
        world.layer = build(IdempotencyConfig(fingerprint=("method",)), world.scope)
        assert (await world.call(body=b"other")).status == 422
        assert (await world.call()).headers.get(b"idempotency-replayed") == b"true"

    play(scenario)


def test_shadow_reports_and_sends_everything():
    async def scenario(world):
        notes = []
        for request in ({}, {}, {"body": b"other"}, {"key": None}, {"key": ""}):
            exchange = world.exchange(**request)
            assert (await world.call(exchange=exchange)).status == 201
            notes += exchange.codes
        world.remote.down = True
        assert (await world.call()).status == 201
        assert world.executed == 6
        reasons = ("replayed", "other-request", "key-missing", "key-malformed")
        assert notes == [f"shadow:idempotency.{reason}" for reason in reasons]

    play(scenario, shadow=True)


def test_a_route_without_an_upstream_has_nothing_to_protect():
    assert build(IdempotencyConfig(), FakeScope(upstream="")) == ()
