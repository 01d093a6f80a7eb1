"""cache: what callers get, what the upstream sees, and who may see whose answers."""

import asyncio

import pytest

from gateway.api.errors import Cause, ClientGone, UpstreamError
from gateway.api.messages import Headers, Response
from gateway.api.orders import LastUses, Purge
from gateway.http.dates import format_date
from gateway.testing.exchange import BytesBody, FakeScope, close, make_exchange, make_principal, read_all
from gateway.testing.turns import a_turn, until
from policies.cache import POLICY
from policies.cache.collapse import MARKER_S, Flights
from policies.cache.config import CacheConfig
from policies.cache.core import keep
from policies.cache.store import MAX_CHANGES, MAX_VARIANTS, MIN_SWEEP, MemoryStore
from policies.cache.terms import Rules, terms_of


class Stage:
    """A cache before an upstream that answers what the test says, call by call; the last answer repeats."""

    def __init__(self, *answers, scope=None, **config):
        self.scope = scope or FakeScope(policy="cache", name="cache", shadow=config.get("mode") == "shadow")
        built = POLICY.build(CacheConfig(**config), self.scope)
        self.layer = built[0]
        self.answers = list(answers)
        self.seen = []
        self.gate = None

    async def upstream(self, exchange):
        self.seen.append(Headers(exchange.request.headers))
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return Response(answer.status, Headers(answer.headers), answer.body() if callable(answer.body) else answer.body)

    async def begin(self, method="GET", target="/a", headers=(), **more):
        exchange = make_exchange(method, target, headers, **more)
        # by either clock: a machine that started a moment ago has a younger one than the test
        exchange.deadline = max(asyncio.get_running_loop().time(), self.scope.clock.monotonic()) + 5
        try:
            answer = await self.layer.around(exchange, self.upstream)
            if not isinstance(answer.body, bytes):
                answer.body = await read_all(answer.body)
            return answer
        finally:
            close(exchange)

    def ask(self, *args, **more):
        return asyncio.run(self.begin(*args, **more))

    def later(self, seconds):
        self.scope.clock.advance(seconds)

    @property
    def store(self):
        return self.layer.store


def reply(body=b"hello", status=200, **fields):
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return Response(status, Headers((name.encode(), value.encode()) for name, value in named.items()), body)


def status_of(answer):
    return answer.headers.get_all(b"cache-status")[-1].decode()


FRESH = {"cache_control": "max-age=60"}
RESET = UpstreamError(Cause.RESET, "head", sent=True)


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ({}, False),
        ({"cache_control": "max-age=0"}, False),
        ({"cache_control": "max-age=60", "age": "60"}, False),
        ({"cache_control": "max-age=60", "age": "59"}, True),
        ({"cache_control": "max-age=0", "etag": '"a"'}, True),
        ({"cache_control": "max-age=0", "last_modified": "Mon, 23 Nov 2020 06:26:04 GMT"}, True),
        ({"cache_control": "max-age=0", "last_modified": "yesterday"}, False),
    ],
)
def test_what_can_never_be_served_is_not_said_to_be_stored(fields, stored):
    """RFC 9211 §2.5."""
    stage = Stage(reply(**fields))
    note = "stored" if stored else "detail=stale"
    assert status_of(stage.ask()) == f"sluicegate; fwd=uri-miss; fwd-status=200; {note}"
    assert bool(stage.store.all_pages()) is stored


def test_a_miss_is_stored_and_a_hit_tells_its_age():
    stage = Stage(reply(**FRESH))
    first = stage.ask()
    assert status_of(first) == "sluicegate; fwd=uri-miss; fwd-status=200; stored"
    assert first.headers.get(b"date")
    stage.later(7)
    second = stage.ask()
    assert (second.status, second.body) == (200, b"hello")
    assert second.headers.get(b"age") == b"7"
    assert status_of(second) == "sluicegate; hit; ttl=53"
    assert len(stage.seen) == 1
    assert stage.scope.counts() == {"miss": 1, "hit": 1, "store": 1}


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ({"target": "/a"}, {"target": "/a"}, True),
        ({"target": "/a"}, {"target": "/b"}, False),
        ({"target": "/a?x=1"}, {"target": "/a?x=2"}, False),
        ({"target": "/a?x=1&y=2"}, {"target": "/a?y=2&x=1"}, False),
        ({}, {"method": "HEAD"}, True),
        *[
            ({}, {"headers": [(name, "x")]}, False)
            for name in (
                "X-Original-URL",
                "X-Rewrite-URL",
                "X-HTTP-Method-Override",
                "X-Forwarded-Prefix",
                "X-Host",
                "Forwarded",
            )
        ],
        ({}, {"headers": [("X-Oversize", "x" * 9000)]}, True),
        ({}, {"headers": [("Authorization", "Bearer a")]}, False),
        ({}, {"headers": [("Cookie", "a=b")]}, False),
        ({}, {"body": BytesBody(b"fat", announced=3)}, False),
    ],
)
def test_keys(one, other, shared):
    stage = Stage(reply(**FRESH))
    stage.ask(**one)
    stage.ask(**other)
    assert (len(stage.seen) == 1) is shared


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("/a?x=1&y=2", "/a?y=3&x=1", True),
        ("/a?x=1", "/a?x=2", False),
        ("/a?x=1&x=2", "/a?x=2&x=1", False),
        ("/a?x=1", "/a?%78=1", False),
        ("/a?y=1", "/a", True),
    ],
)
def test_keys_of_some_parameters(one, other, shared):
    stage = Stage(reply(**FRESH), key={"query": ("x",), "headers": ("X-Tenant",)})
    stage.ask(target=one)
    stage.ask(target=other)
    assert (len(stage.seen) == 1) is shared
    stage.ask(target=one, headers=[("X-Tenant", "t")])
    assert len(stage.seen) == (2 if shared else 3)


ACME, OTHER = make_principal("acme"), make_principal("other")


@pytest.mark.parametrize(
    ("answer", "shared", "one", "other", "same"),
    [
        (FRESH, "auto", {"principal": ACME}, {"principal": OTHER}, False),
        (FRESH, "auto", {"principal": ACME}, {"principal": ACME}, True),
        (FRESH, "auto", {"principal": ACME}, {}, False),
        (FRESH, "auto", {}, {"principal": ACME}, False),
        (FRESH, "auto", {"headers": [("Cookie", "a=1")]}, {"headers": [("Cookie", "a=2")]}, False),
        ({"cache_control": "s-maxage=60"}, "auto", {"headers": [("Authorization", "a")]}, {"headers": [("Authorization", "b")]}, False),
        ({"cache_control": "s-maxage=60"}, "auto", {"headers": [("Authorization", "a")]}, {"headers": [("Authorization", "a")]}, True),
        (FRESH, "auto", {"headers": [("Authorization", "a")]}, {"headers": [("Authorization", "a")]}, False),
        ({"cache_control": "public, max-age=60"}, "auto", {"principal": ACME}, {"principal": OTHER}, True),
        ({"cache_control": "public, max-age=60"}, "auto", {"principal": ACME}, {}, True),
        ({"cache_control": "public, max-age=60"}, "by_consumer", {"principal": ACME}, {"principal": OTHER}, False),
        (FRESH, "auto", {"principal": make_principal(claims={"sub": "1"})}, {"principal": make_principal(claims={"sub": "2"})}, False),
        (FRESH, "auto", {"principal": make_principal(claims={"sub": "1", "jti": "a"})}, {"principal": make_principal(claims={"sub": "1", "jti": "b"})}, True),
    ],
)  # fmt: skip
def test_isolation(answer, shared, one, other, same):
    stage = Stage(reply(**answer), shared=shared)
    stage.ask(**one)
    stage.ask(**other)
    assert (len(stage.seen) == 1) is same


def test_validation_with_304_freshens_and_serves():
    stage = Stage(reply(etag='"a"', **FRESH), reply(b"", 304, etag='"a"', x_new="1", cache_control="max-age=90"))
    stage.ask()
    stage.later(60)
    answer = stage.ask(headers=[("If-None-Match", '"mine"')])
    assert stage.seen[1].get_all(b"if-none-match") == [b'"a"']
    assert (answer.status, answer.body, answer.headers.get(b"x-new")) == (200, b"hello", b"1")
    assert status_of(answer) == "sluicegate; fwd=stale; fwd-status=304; stored; ttl=90"
    assert status_of(stage.ask()) == "sluicegate; hit; ttl=90"


def test_validation_by_date():
    when = format_date(FakeScope().clock.time() - 100).decode()
    stage = Stage(reply(last_modified=when, **FRESH), reply(b"", 304))
    stage.ask()
    stage.later(60)
    assert stage.ask().body == b"hello"
    assert stage.seen[1].get(b"if-modified-since") == when.encode()


def test_validation_with_a_304_about_something_else_asks_again():
    stage = Stage(reply(etag='"a"', **FRESH), reply(b"", 304, etag='"b"'), reply(b"new", **FRESH))
    stage.ask()
    stage.later(60)
    assert stage.ask().body == b"new"
    assert stage.seen[2].get(b"if-none-match") is None


def test_validation_with_a_new_answer_replaces_the_old():
    stage = Stage(reply(etag='"a"', **FRESH), reply(b"new", etag='"b"', **FRESH))
    stage.ask()
    stage.later(60)
    assert stage.ask().body == b"new"
    assert stage.ask().body == b"new"
    assert len(stage.seen) == 2


DAY = format_date(1_800_000_000 - 86_400).decode()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([("If-None-Match", '"a"')], 304),
        ([("If-None-Match", 'W/"a"')], 304),
        ([("If-None-Match", '"x", "a"')], 304),
        ([("If-None-Match", "*")], 304),
        ([("If-None-Match", '"x"')], 200),
        ([("If-None-Match", '"x"'), ("If-Modified-Since", DAY)], 200),
        ([("If-Modified-Since", DAY)], 304),
        ([("If-Modified-Since", "never")], 200),
        ([("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")], 200),
    ],
)
def test_conditions(fields, status):
    stage = Stage(reply(etag='"a"', last_modified=DAY, content_type="a/b", **FRESH))
    stage.ask()
    answer = stage.ask(headers=fields)
    assert answer.status == status
    assert len(stage.seen) == 1
    if status == 304:
        assert answer.headers.get(b"etag") == b'"a"'
        assert answer.headers.get(b"content-type") is None
        assert answer.body == b""


@pytest.mark.parametrize("name", ["If-Match", "If-Unmodified-Since"])
def test_conditions_for_the_origin_go_there(name):
    stage = Stage(reply(**FRESH))
    stage.ask()
    assert status_of(stage.ask(headers=[(name, "*")])) == "sluicegate; fwd=bypass; fwd-status=200"


@pytest.mark.parametrize(
    ("fields", "status", "body", "place"),
    [
        ([("Range", "bytes=1-2")], 206, b"el", b"bytes 1-2/5"),
        ([("Range", "bytes=3-")], 206, b"lo", b"bytes 3-4/5"),
        ([("Range", "bytes=-2")], 206, b"lo", b"bytes 3-4/5"),
        ([("Range", "bytes=-99")], 206, b"hello", b"bytes 0-4/5"),
        ([("Range", "bytes=0-99")], 206, b"hello", b"bytes 0-4/5"),
        ([("Range", "BYTES=0-0")], 206, b"h", b"bytes 0-0/5"),
        ([("Range", "bytes=5-")], 416, b"", b"bytes */5"),
        ([("Range", "bytes=-0")], 416, b"", b"bytes */5"),
        ([("Range", "bytes=2-1")], 200, b"hello", None),
        ([("Range", "bytes=0-1,3-4")], 200, b"hello", None),
        ([("Range", "bytes=a-b")], 200, b"hello", None),
        ([("Range", "bytes=-")], 200, b"hello", None),
        ([("Range", "lines=1-2")], 200, b"hello", None),
        ([("Range", "bytes=" + "9" * 5000 + "-")], 200, b"hello", None),
        ([("Range", "bytes=1-2"), ("If-Range", '"a"')], 206, b"el", b"bytes 1-2/5"),
        ([("Range", "bytes=1-2"), ("If-Range", 'W/"a"')], 200, b"hello", None),
        ([("Range", "bytes=1-2"), ("If-Range", '"b"')], 200, b"hello", None),
        ([("Range", "bytes=1-2"), ("If-Range", DAY)], 206, b"el", b"bytes 1-2/5"),
    ],
)
def test_ranges(fields, status, body, place):
    stage = Stage(reply(etag='"a"', last_modified=DAY, **FRESH))
    stage.ask()
    answer = stage.ask(headers=fields)
    assert (answer.status, answer.body, answer.headers.get(b"content-range")) == (status, body, place)
    assert len(stage.seen) == 1


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ([("Cache-Control", "no-cache")], 2),
        ([("Pragma", "no-cache")], 2),
        ([("Pragma", "no-cache"), ("Cache-Control", "max-age=9")], 1),
        ([("Cache-Control", "max-age=0")], 2),
        ([], 1),
    ],
)
def test_request_directives(control, expected):
    for obeyed in ("obey", "ignore"):
        stage = Stage(reply(**FRESH), request_directives=obeyed)
        stage.ask()
        stage.later(1)
        stage.ask(headers=control)
        assert len(stage.seen) == (expected if obeyed == "obey" else 1)


def test_only_if_cached():
    stage = Stage(reply(**FRESH))
    only = [("Cache-Control", "only-if-cached")]
    assert stage.ask(headers=only).status == 504
    assert stage.seen == []
    stage.ask()
    assert stage.ask(headers=only).status == 200


def test_head_is_answered_from_a_get_and_may_outdate_it():
    stage = Stage(reply(etag='"a"', **FRESH), reply(b"", etag='"b"', content_length="9"), reply(b"new", **FRESH))
    stage.ask()
    assert stage.ask("HEAD").headers.get(b"etag") == b'"a"'
    stage.later(60)
    stage.ask("HEAD")
    assert stage.store.all_pages() == []


def test_a_head_that_agrees_freshens_what_is_stored():
    stage = Stage(reply(etag='"a"', **FRESH), reply(b"", etag='"a"', x_new="1", cache_control="max-age=90"))
    stage.ask()
    stage.later(60)
    stage.ask("HEAD")
    assert stage.seen[1].get(b"if-none-match") == b'"a"'
    answer = stage.ask()
    assert (answer.body, answer.headers.get(b"x-new"), len(stage.seen)) == (b"hello", b"1", 2)


@pytest.mark.parametrize("news", [{"cache_control": "no-store"}, {"cache_control": "private"}, {"vary": "*"}])
def test_a_304_that_forbids_storing_is_obeyed(news):
    stage = Stage(reply(etag='"a"', **FRESH), reply(b"", 304, **news), reply(b"new", **FRESH))
    stage.ask()
    stage.later(60)
    assert stage.ask().body == b"hello"
    assert stage.store.all_pages() == []
    assert stage.ask().body == b"new"


def test_nothing_of_an_answer_to_no_store_is_stored():
    stage = Stage(reply(etag='"a"', **FRESH), reply(b"", 304, x_new="1", **FRESH))
    stage.ask()
    stage.later(60)
    assert stage.ask(headers=[("Cache-Control", "no-store")]).body == b"hello"
    [page] = stage.store.all_pages()
    assert page.variants[0].headers.get(b"x-new") is None


def test_what_was_for_everybody_and_is_no_more_is_forgotten_by_the_others():
    stage = Stage(
        reply(etag='"a"', cache_control="public, max-age=60"), reply(b"", 304, **FRESH), reply(b"other", **FRESH)
    )
    stage.ask(principal=ACME)
    stage.later(60)
    assert stage.ask(principal=ACME).body == b"hello"
    assert stage.ask(principal=OTHER).body == b"other"
    assert stage.ask(principal=ACME).body == b"hello"


@pytest.mark.parametrize(
    ("method", "status", "fields", "target", "forgotten"),
    [
        ("POST", 200, {}, "/a", True),
        ("PUT", 204, {}, "/a", True),
        ("DELETE", 303, {}, "/a", True),
        ("FOO", 200, {}, "/a", True),
        ("POST", 400, {}, "/a", False),
        ("POST", 500, {}, "/a", False),
        ("OPTIONS", 200, {}, "/a", False),
        ("POST", 201, {"location": "/a"}, "/b", True),
        ("POST", 201, {"location": "https://api.example/a"}, "/b", True),
        ("POST", 201, {"content_location": "a"}, "/b", True),
        ("POST", 201, {"location": "/x/../%61"}, "/b", True),
        ("POST", 201, {"location": "https://API.example/a#part"}, "/b", True),
        ("POST", 201, {"location": "/\xe4"}, "/b", False),
        ("POST", 201, {"location": "/../../a"}, "/b", True),
        ("POST", 201, {"location": "/a?x=1"}, "/b", False),
        ("POST", 201, {"location": "https://other.example/a"}, "/b", False),
        ("POST", 201, {"location": "http://api.example/a"}, "/b", False),
        ("POST", 201, {"location": "https://[/a"}, "/b", False),
        ("POST", 400, {"location": "/a"}, "/b", False),
    ],
)
def test_invalidation(method, status, fields, target, forgotten):
    stage = Stage(reply(**FRESH), reply(b"", status, **fields), reply(**FRESH))
    stage.ask(principal=ACME)
    stage.ask(method, target)
    stage.ask(principal=ACME)
    assert (len(stage.seen) == 3) is forgotten


def test_invalidation_is_spread_to_the_other_workers():
    stage = Stage(reply(b"", 201, location="/c"), reply(**FRESH))
    stage.ask("POST", "/b")
    assert stage.scope.orders == [Purge(url="https://api.example/b"), Purge(url="https://api.example/c")]
    stage.ask("POST", "/b")
    stage.ask()
    assert stage.scope.orders[2:] == [Purge(url="https://api.example/b")]


@pytest.mark.parametrize(
    ("order", "kept"),
    [
        (Purge(url="https://api.example/a"), False),
        (Purge(url="https://api.example/other"), True),
        (Purge(prefix="https://api.example/a"), False),
        (Purge(tag="t"), False),
    ],
)
@pytest.mark.parametrize("validating", [False, True])
def test_what_was_asked_for_before_an_invalidation_is_not_stored_after_it(order, kept, validating):
    async def scene():
        stage = Stage(reply(etag='"a"', **FRESH), reply(b"", 304), reply(b"new", **FRESH))
        if validating:
            await stage.begin()
            stage.later(60)
        stage.gate = asyncio.Event()
        caller = asyncio.ensure_future(stage.begin())
        await until(lambda: len(stage.seen) == 1 + validating)
        stage.store.carry_out(order)
        stage.gate.set()
        assert (await caller).body == b"hello"
        assert ((await stage.begin()).body == b"hello") is kept

    asyncio.run(scene())


def test_invalidations_are_known_one_by_one_up_to_a_bound():
    store = filled(10_000_000)
    store.invalidate("first")
    noted = store.changes
    assert not store.changed_since("first", noted)
    for number in range(MAX_CHANGES):
        store.invalidate(str(number))
    assert not store.changed_since("other", noted)
    store.invalidate("one more")
    assert store.changed_since("other", noted)
    assert not store.changed_since("other", store.changes)


@pytest.mark.parametrize("fault", [RESET, reply(b"", 500), reply(b"", 503)])
def test_stale_if_error(fault):
    stage = Stage(reply(**FRESH), fault, stale_if_error=30.0)
    stage.ask()
    stage.later(70)
    answer = stage.ask()
    assert (answer.status, answer.body) == (200, b"hello")
    assert "fwd=stale" in status_of(answer)
    assert "detail=stale-if-error" in status_of(answer)
    stage.later(30)
    if isinstance(fault, UpstreamError):
        with pytest.raises(UpstreamError):
            stage.ask()
    else:
        assert stage.ask().status == fault.status


def test_stale_while_revalidate_serves_at_once_and_validates_once():
    async def scene():
        stage = Stage(reply(etag='"a"', **FRESH), reply(b"", 304, etag='"a"', **FRESH), stale_while_revalidate=30.0)
        await stage.begin()
        stage.later(70)
        stage.gate = asyncio.Event()
        for _ in range(3):
            answer = await stage.begin()
            assert status_of(answer) == "sluicegate; hit; ttl=-10"
            await a_turn()
        stage.gate.set()
        await until(lambda: not stage.layer._origin._background.tasks)
        assert len(stage.seen) == 2
        assert status_of(await stage.begin()) == "sluicegate; hit; ttl=60"

    asyncio.run(scene())


def test_a_background_validation_that_fails_changes_nothing():
    async def scene():
        stage = Stage(reply(**FRESH), RESET, stale_while_revalidate=30.0)
        await stage.begin()
        stage.later(70)
        assert (await stage.begin()).body == b"hello"
        await until(lambda: not stage.layer._origin._background.tasks)
        assert (await stage.begin()).body == b"hello"
        await until(lambda: not stage.layer._origin._background.tasks)

    asyncio.run(scene())


def test_a_streamed_answer_is_stored_whole():
    stage = Stage(reply(lambda: BytesBody(b"he", b"llo"), **FRESH))
    assert stage.ask().body == b"hello"
    assert stage.ask().body == b"hello"
    assert len(stage.seen) == 1


@pytest.mark.parametrize(
    "body", [lambda: BytesBody(b"x" * 9, b"y" * 9), lambda: BytesBody(b"he", announced=5), b"x" * 18]
)
def test_what_is_too_long_or_not_whole_is_not_stored(body):
    stage = Stage(reply(body, **FRESH), max_body=10)
    stage.ask()
    stage.ask()
    assert len(stage.seen) == 2


class Breaking(BytesBody):
    async def read(self):
        if not self.pieces:
            raise UpstreamError(Cause.RESET, "body", sent=True)
        return await super().read()


def test_a_body_that_breaks_off_is_not_stored():
    stage = Stage(reply(lambda: Breaking(b"he"), **FRESH))
    with pytest.raises(UpstreamError):
        stage.ask()
    assert stage.store.all_pages() == []
    assert stage.layer.flights.under_way == {}


async def crowd(stage, size=5, **request):
    stage.gate = asyncio.Event()
    callers = [asyncio.ensure_future(stage.begin(**request)) for _ in range(size)]
    await until(lambda: stage.scope.counts().get("collapsed") == size - 1)
    stage.gate.set()
    return callers


def test_callers_of_one_cold_key_make_one_call():
    async def scene():
        stage = Stage(reply(**FRESH))
        answers = await asyncio.gather(*await crowd(stage, 1000))
        assert len(stage.seen) == 1
        assert {answer.body for answer in answers} == {b"hello"}
        assert status_of(answers[1]) == "sluicegate; fwd=uri-miss; collapsed; ttl=60"

    asyncio.run(scene())


def test_an_expired_key_is_validated_once():
    async def scene():
        stage = Stage(reply(etag='"a"', **FRESH), reply(b"", 304, **FRESH))
        await stage.begin()
        stage.later(60)
        await asyncio.gather(*await crowd(stage))
        assert len(stage.seen) == 2

    asyncio.run(scene())


def test_an_answer_that_cannot_be_stored_leaves_a_marker():
    async def scene():
        stage = Stage(reply(cache_control="no-store"))
        await asyncio.gather(*await crowd(stage))
        assert len(stage.seen) == 5
        await stage.begin()
        assert stage.scope.counts()["collapsed"] == 4
        stage.later(MARKER_S)
        await asyncio.gather(*[asyncio.ensure_future(stage.begin()) for _ in range(2)])
        assert stage.layer.flights.under_way == {}

    asyncio.run(scene())


def test_who_waits_matches_vary_again():
    async def scene():
        stage = Stage(reply(vary="accept", **FRESH))
        stage.gate = asyncio.Event()
        callers = [asyncio.ensure_future(stage.begin(headers=[("Accept", kind)])) for kind in ("a", "a", "b")]
        await until(lambda: stage.scope.counts().get("collapsed") == 2)
        stage.gate.set()
        await asyncio.gather(*callers)
        assert [seen.get(b"accept") for seen in stage.seen] == [b"a", b"b"]

    asyncio.run(scene())


def test_callers_with_credentials_do_not_wait_for_each_other():
    async def scene():
        stage = Stage(reply(**FRESH))
        await asyncio.gather(*(stage.begin(principal=one) for one in (ACME, OTHER)))
        assert len(stage.seen) == 2

    asyncio.run(scene())


def test_a_fault_is_everybodys():
    async def scene():
        stage = Stage(RESET)
        outcomes = await asyncio.gather(*await crowd(stage), return_exceptions=True)
        assert {type(one) for one in outcomes} == {UpstreamError}
        assert len(stage.seen) == 1
        assert stage.layer.flights.under_way == {}

    asyncio.run(scene())


@pytest.mark.parametrize("fault", [RESET, reply(b"", 503)])
def test_a_fault_with_a_stale_answer_costs_one_call(fault):
    async def scene():
        stage = Stage(reply(**FRESH), fault, stale_if_error=30.0)
        await stage.begin()
        stage.later(60)
        answers = await asyncio.gather(*await crowd(stage))
        assert {answer.body for answer in answers} == {b"hello"}
        assert len(stage.seen) == 2

    asyncio.run(scene())


def test_when_the_first_caller_leaves_the_next_makes_the_call():
    async def scene():
        stage = Stage(ClientGone(), reply(**FRESH))
        outcomes = await asyncio.gather(*await crowd(stage), return_exceptions=True)
        assert [type(one) for one in outcomes].count(ClientGone) == 1
        assert len(stage.seen) == 2

    asyncio.run(scene())


def test_nobody_waits_beyond_the_deadline():
    async def scene():
        stage = Stage(reply(**FRESH))
        stage.gate = asyncio.Event()
        first = asyncio.ensure_future(stage.begin())
        await until(lambda: stage.seen)
        exchange = make_exchange(target="/a")
        exchange.deadline = asyncio.get_running_loop().time()
        late = await stage.layer.around(exchange, stage.upstream)
        assert (late.status, exchange.codes) == (504, ["cache.collapse-timeout"])
        stage.gate.set()
        assert (await first).status == 200

    asyncio.run(scene())


def test_in_shadow_it_stores_and_counts_and_serves_nothing():
    stage = Stage(reply(**FRESH), mode="shadow")
    for _ in range(3):
        assert list(stage.ask().headers) == [(b"cache-control", b"max-age=60")]
    assert len(stage.seen) == 3
    assert stage.scope.counts() == {"miss": 1, "store": 1, "hit": 2}


def test_own_directives_go_to_no_caller():
    stage = Stage(reply(sluicegate_cache_control="max-age=60", cache_control="no-store"))
    for _ in range(2):
        answer = stage.ask()
        assert answer.headers.get(b"sluicegate-cache-control") is None
        assert answer.headers.get(b"cache-control") == b"no-store"
    assert len(stage.seen) == 1


def test_an_upstreams_own_cache_status_comes_first():
    stage = Stage(reply(cache_status="far; hit", **FRESH))
    assert stage.ask().headers.get_all(b"cache-status")[0] == b"far; hit"


def test_an_adapter_that_is_not_safe_is_never_cached():
    assert POLICY.build(CacheConfig(), FakeScope(safe=False)) == []


@pytest.mark.parametrize(
    ("order", "left"),
    [
        (Purge(url="https://api.example/a"), {"/b", "/ab"}),
        (Purge(prefix="https://api.example/a"), {"/b"}),
        (Purge(tag="red"), {"/a"}),
        (Purge(tag="none"), {"/a", "/b", "/ab"}),
    ],
)
def test_purge(order, left):
    stage = Stage(reply(**FRESH), reply(cache_tag="red, blue", **FRESH), reply(cache_tag="green red", **FRESH))
    for target in ("/a", "/b", "/ab"):
        stage.ask(target=target)
    assert stage.store.carry_out(order) == 3 - len(left)
    assert {page.url.removeprefix("https://api.example") for page in stage.store.all_pages()} == left
    assert stage.store.carry_out(LastUses()) is None


def entry(size=100, selector_of="1"):
    answer = Headers([(b"cache-control", b"max-age=60"), (b"vary", b"x-a")])
    asked = Headers([(b"x-a", selector_of.encode())])
    return keep(
        200, answer, b"x" * size, asked, terms_of(answer, 0.0, Rules()), Rules(), now=0.0, wall=0.0, delay_s=0.0
    )


def filled(limit):
    store = MemoryStore()
    store.user = lambda: None
    store.bound(store.user, limit)
    return store


def test_variants_of_a_key_are_bounded():
    store = filled(10_000_000)
    for number in range(MAX_VARIANTS + 5):
        store.put(("u", "r"), entry(selector_of=str(number)))
    assert len(store.page(("u", "r")).variants) == MAX_VARIANTS


def test_the_store_keeps_within_its_bound_and_what_is_asked_for_stays():
    one = entry()
    store = filled(one.size * 100)
    for number in range(1000):
        store.put((f"u{number}", "r"), one)
        hot = store.page(("u0", "r"))
        assert hot is not None, number
        hot.uses = 3
    assert store.size <= store.limit
    assert store.size == sum(page.size for page in store.all_pages())
    assert len(store.all_pages()) == 100


def test_what_is_larger_than_a_tenth_is_not_taken():
    store = filled(entry().size * 5)
    assert not store.put(("u", "r"), entry())
    assert store.all_pages() == []


def test_markers_are_bounded():
    flights = Flights()
    for number in range(10_001):
        flights.mark((str(number), ""), 10.0)
    assert not flights.marked(("0", ""), 0.0)
    assert flights.marked(("10000", ""), 0.0)


def test_a_url_is_forgotten_for_all_callers_at_once():
    store = filled(10_000_000)
    for number in range(1000):
        store.put(("u", f"r {number} "), entry())
    store.put(("other", "r"), entry())
    assert store.invalidate("u") == 1000
    assert [page.url for page in store.all_pages()] == ["other"]
    assert store.size == entry().size


def test_each_caller_has_a_page_of_a_url_whichever_of_them_goes_first():
    store = filled(10_000_000)
    for rests in (["a", "b", "c"], ["c", "b", "a"], ["b", "a", "c"]):
        for rest in "abc":
            store.put(("u", rest), entry())
        left = {"a", "b", "c"}
        for rest in rests:
            store.drop(("u", rest), store.page(("u", rest)).variants[0])
            left.remove(rest)
            assert {page.rest for page in store.pages("u")} == left
            assert all((store.page(("u", one)) is not None) == (one in left) for one in "abc")
    store.put(("u", "a"), entry())
    assert store.invalidate("u") == 1


def test_forgotten_pages_do_not_gather_in_the_queues():
    store = filled(10_000_000)
    for number in range(5000):
        store.put((f"u{number}", "r"), entry())
        store.invalidate(f"u{number}")
    assert (len(store.all_pages()), store.size) == (0, 0)
    assert len(store._small) <= 2 * MIN_SWEEP


def test_a_sweep_leaves_the_newest_page_its_place():
    store = filled(10_000_000)
    for number in range(2 * MIN_SWEEP):
        store.put((f"u{number}", "r"), entry())
        assert store.page((f"u{number}", "r")) is store._small[-1]
        if number % 500:
            store.invalidate(f"u{number}")
    assert len(store.all_pages()) == 2 * MIN_SWEEP // 500
    assert set(store.all_pages()) <= set(store._small)  # what stands in no queue is never forgotten again


def test_answers_of_one_kind_share_what_they_have_alike():
    """Memory is for bodies."""
    text = [(b"content-type", b"a/b"), (b"cache-control", b"max-age=60"), (b"server", b"s"), (b"vary", b"x-a")]

    def stored(number):
        own = [
            (b"etag", b'"%d"' % number),
            (b"last-modified", format_date(number)),
            (b"cache-tag", b"p-%d all" % number),
        ]
        answer = Headers([*text, *own, (b"date", format_date(number)), (b"x-a", b"1"), (b"x-a", b"2")])
        asked = Headers([(b"x-a", b"1")])
        terms = terms_of(answer, 0.0, Rules())
        return keep(200, answer, b"", asked, terms, Rules(), now=0.0, wall=float(number), delay_s=0.0)

    one, other = stored(1), stored(2)
    assert one.kind is other.kind
    assert one.selector is other.selector
    assert (one.etag, other.etag) == (b'"1"', b'"2"')
    assert (one.modified(0.0), other.modified(0.0)) == (1, 2)
    assert [one.has_tag(tag) for tag in (b"p-1", b"p-2", b"p-", b"all", b"1970")] == [True, False, False, True, False]
    assert other.headers.get_all(b"x-a") == [b"1", b"2"]
    assert set(text) < set(other.headers)
    text[2] = (b"server", b"s" * 1000)
    assert stored(3).size > one.size + 900  # what is long and may differ counts
    assert set(text) < set(stored(3).headers)


def test_a_newline_that_an_adapter_left_in_a_value_hurts_nobody():
    fields = Headers([(b"cache-control", b"max-age=60"), (b"x-note", b"a\nb"), (b"x-other", b"c")])
    stage = Stage(Response(200, fields, lambda: BytesBody(b"x")))
    assert status_of(stage.ask()).endswith("stored")
    hit = stage.ask()
    assert status_of(hit).startswith("sluicegate; hit")
    assert (hit.headers.get(b"x-note"), hit.headers.get(b"x-other")) == (b"a b", b"c")
