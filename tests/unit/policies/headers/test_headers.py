"""headers: edits both ways, placeholders, and what an upstream can rely on."""

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.api.config import Secret
from gateway.api.messages import Headers, Response
from gateway.testing.exchange import FakeScope, make_exchange, make_principal, run_layer
from policies.headers import POLICY
from policies.headers.config import HeadersConfig
from policies.headers.core import Signer


def sent_on(exchange, **request):
    (gate,) = POLICY.build(HeadersConfig(request=request), FakeScope())
    assert gate.check(exchange) is None
    return list(exchange.request.headers)


def test_remove_set_and_add_in_that_order():
    exchange = make_exchange(headers=[("Cookie", "a=b"), ("X-One", "caller"), ("X-Two", "caller"), ("x-one", "again")])
    assert sent_on(
        exchange, set={"X-One": "ours"}, add={"X-Two": "more", "X-Four": "4"}, remove=["cookie", "X-Four"]
    ) == [(b"x-two", b"caller"), (b"x-one", b"ours"), (b"x-two", b"more"), (b"x-four", b"4")]


def test_placeholders_are_filled_from_the_request_as_it_came():
    exchange = make_exchange(
        headers=[("X-Old", "7")], params={"id": "a b"}, principal=make_principal(claims={"sub": "zoë"})
    )
    assert sent_on(
        exchange,
        set={"X-Who": "{consumer.name}/{claim.sub}", "X-Id": "{path.id}", "X-New": "{header.X-Old}"},
        remove=["X-Old"],
    ) == [(b"x-who", b"acme/zo%C3%AB"), (b"x-id", b"a b"), (b"x-new", b"7")]


@pytest.mark.parametrize("forged", ["X-Consumer", "x-consumer", "X_Consumer", "x_CONSUMER"])
def test_a_callers_own_copy_is_removed_even_when_there_is_no_value(forged):
    exchange = make_exchange(headers=[(forged, "root"), ("X-Keep", "1"), ("X_Keep", "2")])
    assert sent_on(exchange, set={"X-Consumer": "{consumer.name}"}) == [(b"x-keep", b"1"), (b"x_keep", b"2")]


@given(st.text(max_size=30))
def test_no_value_adds_a_second_field(value):
    exchange = make_exchange(principal=make_principal(claims={"sub": value}))
    fields = sent_on(exchange, set={"X-Sub": "{claim.sub}"})
    assert len(fields) == (1 if value else 0)
    assert all(octet >= 0x20 and octet != 0x7F for _, field in fields for octet in field)


def test_the_answer_is_edited_on_its_way_back():
    (layer,) = POLICY.build(
        HeadersConfig(response={"set": {"X-Frame-Options": "DENY", "X-Id": "{path.id}"}, "remove": ["Server-Timing"]}),
        FakeScope(),
    )
    upstream = Response(200, Headers([(b"server-timing", b"db;dur=5"), (b"x-frame-options", b"ALLOW")]), b"")
    answer = run_layer(layer, make_exchange(params={"id": "5"}), upstream)
    assert list(answer.headers) == [(b"x-frame-options", b"DENY"), (b"x-id", b"5")]


def test_only_what_has_work_is_in_the_chain():
    config = HeadersConfig(request={"remove": ["A"]}, response={"remove": ["B"]})
    assert len(POLICY.build(config, FakeScope())) == 2
    assert POLICY.build(config, FakeScope(shadow=True)) == []


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({}, "needs set, add or remove"),
        ({"request": {"set": {"Connection": "close"}}}, "single connection"),
        ({"request": {"remove": ["Transfer-Encoding"]}}, "single connection"),
        ({"response": {"add": {"content-length": "5"}}}, "single connection"),
        ({"request": {"set": {"Host": "x"}}}, "field `host`"),
        ({"request": {"set": {"X Y": "x"}}}, "not a header's name"),
        ({"request": {"set": {"X-A": "a\nb"}}}, "not a header's value"),
        ({"request": {"set": {"X-A": "\u20ac"}}}, "not a header's value"),
        ({"request": {"set": {"X-A": ""}}}, "not empty"),
        ({"request": {"set": {"X-A": " a"}}}, "no blanks at its ends"),
        ({"request": {"set": {"X-A": "{claim.sub"}}}, "never closed"),
        ({"request": {"set": {"X-A": "{body./x}"}}}, "no placeholder here"),
        ({"request": {"set": {"X-A": "1", "x-a": "2"}}}, "one header"),
        ({"request": {"set": {"X-A": "1"}, "add": {"x-a": "2"}}}, "both set and added"),
    ],
)
def test_mistakes_are_told(config, word):
    with pytest.raises(ValidationError, match=word):
        HeadersConfig(**config)


def test_blanks_between_placeholders_and_latin_1_are_values():
    exchange = make_exchange(params={"a": "1", "b": "2"})
    fields = sent_on(exchange, set={"X-A": "{path.a} {path.b}", "X-B": "caf\xe9"})
    assert sorted(fields) == [(b"x-a", b"1 2"), (b"x-b", b"caf\xe9")]


SECRET = Secret("k" * 32, "${env:KEY}")


def test_what_says_who_is_calling_is_never_the_callers_own_even_when_added():
    exchange = make_exchange(headers=[("X-Who", "root"), ("x_who", "root")], principal=make_principal())
    assert sent_on(exchange, add={"X-Who": "{consumer.name}"}) == [(b"x-who", b"acme")]
    exchange = make_exchange(headers=[("X-Who", "root"), ("Via", "1.1 a")])
    assert sent_on(exchange, add={"X-Who": "{claim.sub}", "Via": "1.1 us"}) == [(b"via", b"1.1 a"), (b"via", b"1.1 us")]


def test_fields_are_signed_as_rfc_9421_says():
    config = HeadersConfig(
        request={"set": {"X-Consumer": "{consumer.name}", "X-None": "{claim.none}"}, "sign": {"secret": SECRET}}
    )
    scope = FakeScope()
    edit, sign = POLICY.build(config, scope)
    forged = [("X-Consumer", "root"), ("Signature", "sluicegate=:AA==:"), ("Signature-Input", 'sluicegate=("x");x')]
    exchange = make_exchange("POST", headers=forged, principal=make_principal())
    assert edit.check(exchange) is None
    assert sign.check(exchange) is None
    now = int(scope.clock.time())
    parameters = f'("@method" "x-consumer");created={now};expires={now + 60};keyid="sluicegate";alg="hmac-sha256"'
    base = f'"@method": POST\n"x-consumer": acme\n"@signature-params": {parameters}'  # §2.5
    expected = base64.b64encode(hmac.digest(SECRET.encode(), base.encode(), "sha256")).decode()
    assert list(exchange.request.headers) == [
        (b"x-consumer", b"acme"),
        (b"signature-input", f"sluicegate={parameters}".encode()),
        (b"signature", f"sluicegate=:{expected}:".encode()),
    ]


def test_a_field_that_came_in_several_lines_is_signed_as_one_list():
    fields = Headers([(b"date", b"Tue, 20 Apr 2021 02:07:55 GMT"), (b"x-list", b" a "), (b"x-list", b"b\t")])
    Signer(["Date", "X-List", "date"], "test-shared-secret", "s" * 32, 10).apply(fields, "GET", 1618884473.9)
    assert fields.get(b"signature-input") == (
        b'test-shared-secret=("@method" "date" "x-list");created=1618884473;expires=1618884483;'
        b'keyid="test-shared-secret";alg="hmac-sha256"'
    )


def test_a_field_beyond_ascii_is_signed_in_base64():
    """RFC 9421 §2.1.3: each line by itself."""
    fields = Headers([(b"x-name", b"Zo\xeb"), (b"x-name", b"Ann")])
    Signer(["X-Name"], "k", "s" * 32, 10).apply(fields, "GET", 100)
    parameters = '("@method" "x-name";bs);created=100;expires=110;keyid="k";alg="hmac-sha256"'
    base = f'"@method": GET\n"x-name";bs: :Wm/r:, :QW5u:\n"@signature-params": {parameters}'
    expected = base64.b64encode(hmac.digest(b"s" * 32, base.encode(), "sha256"))
    assert fields.get(b"signature-input") == f"k={parameters}".encode()
    assert fields.get(b"signature") == b"k=:%b:" % expected


@pytest.mark.parametrize(
    "request_",
    [
        {"sign": {"secret": SECRET}},
        {"set": {"X-A": "a"}, "sign": {"secret": Secret("short", "${env:KEY}")}},
        {"set": {"X-A": "a"}, "sign": {"secret": "k" * 32}},
        {"set": {"X-A": "a"}, "sign": {}},
    ],
    ids=["nothing to sign", "short", "literal", "none"],
)
def test_a_signature_needs_fields_and_a_key(request_):
    with pytest.raises(ValidationError):
        HeadersConfig(request=request_)
