"""Placeholders: what compiles, what they find, and that no value can break out of a header field."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.exchange import Principal
from gateway.api.placeholder import ROOTS, PlaceholderError, compile_template, find_claim
from gateway.testing.exchange import make_exchange, make_principal


def text(source: str, exchange=None, body=None):
    return compile_template(source, ROOTS).text(exchange or make_exchange(), body)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain", "plain"),
        ("{{literal}}", "{literal}"),
        ("{path.id}", "42"),
        ("order-{path.id}/{{x}}", "order-42/{x}"),
        ("{query.q}", "a b&c"),
        ("{query.plus}", "1 2"),
        ("{header.X-Tenant}", "blue"),
        ("{header.x-tenant}-{path.id}", "blue-42"),
        ("{claim.sub}", "alice"),
        ("{claim.realm_access.roles}", "a,b"),
        ("{claim.https://x.example/plan}", "gold"),
        ("{claim.admin}", "false"),
        ("{claim.level}", "7"),
        ("{claim.act}", '{"sub":"bob"}'),
        ("{consumer.name}", "acme"),
        ("{consumer.tier}", "premium"),
        ("{consumer.issuer}", "partners"),
        ("{consumer.client_id}", "acme-client"),
        ("{consumer.label.region}", "eu"),
    ],
)
def test_a_placeholder_finds_its_value(source, expected):
    claims = {
        "sub": "alice",
        "realm_access": {"roles": ["a", "b"]},
        "https://x.example/plan": "gold",
        "admin": False,
        "level": 7,
        "act": {"sub": "bob"},
    }
    exchange = make_exchange(
        target="/orders/42?x=1&q=a%20b%26c&q=second&plus=1+2",
        headers=[("X-Tenant", "blue"), ("X-Tenant", "red")],
        params={"id": "42"},
        principal=make_principal(claims=claims, tier="premium", labels={"region": "eu"}),
    )
    assert text(source, exchange) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{path.nope}",
        "{query.nope}",
        "{query.}x",
        "{header.nope}",
        "{claim.nope}",
        "{claim.sub.deeper}",
        "{consumer.name}",
    ],
)
def test_a_placeholder_without_a_value_leaves_nothing(source):
    if source == "{query.}x":
        with pytest.raises(PlaceholderError):
            compile_template(source)
        return
    assert text(source) is None
    assert text(f"before {source} after") is None


def test_an_allowed_client_never_passes_for_the_consumer_of_that_name():
    stranger = Principal("client:partners:acme", None, issuer="partners", client_id="acme")
    assert text("{consumer.name}", make_exchange(principal=stranger)) is None
    assert text("{consumer.client_id}", make_exchange(principal=stranger)) == "acme"


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("/order/id", 17),
        ("/order/lines/1/sku", "B"),
        ("/a~1b", True),
        ("/m~0n", None),
        ("/order/lines/7", None),
        ("/order/lines/01", None),
        ("/order/lines/-", None),
        ("/order/id/deeper", None),
        ("/nope", None),
    ],
)
def test_a_body_pointer_keeps_the_type(pointer, expected):
    body = {"order": {"id": 17, "lines": [{"sku": "A"}, {"sku": "B"}]}, "a/b": True, "m~n": None}
    assert compile_template(f"{{body.{pointer}}}", ROOTS).value(make_exchange(), body) == expected


def test_a_value_beside_text_is_text():
    template = compile_template("n={body./n}", ROOTS)
    assert template.value(make_exchange(), {"n": 5}) == "n=5"
    assert template.constant is None
    assert template.roots == {"body"}
    assert compile_template("a{{b").constant == "a{b"
    assert compile_template("").constant == ""


@pytest.mark.parametrize(
    ("source", "position", "word"),
    [
        ("x{path.id", 1, "never closed"),
        ("x}", 1, "without its"),
        ("{pth.id}", 0, "did you mean 'path'"),
        ("{path}", 0, "needs a name"),
        ("{path.}", 0, "needs a name"),
        ("ab{body./x}", 2, "no placeholder here"),
        ("{header.X Y}", 0, "header's name"),
        ("{consumer.secret}", 0, "a consumer has no"),
        ("{consumer.label}", 0, "a consumer has no"),
        ("{consumer.name.x}", 0, "a consumer has no"),
    ],
)
def test_a_mistake_is_told_with_its_place(source, position, word):
    with pytest.raises(PlaceholderError, match=re.escape(word)) as raised:
        compile_template(source)
    assert raised.value.position == position
    assert f"(character {position + 1})" in str(raised.value)


@pytest.mark.parametrize("source", ["{body.order}", "{body./a~2}"])
def test_a_body_is_pointed_into_by_rfc_6901(source):
    with pytest.raises(PlaceholderError, match="JSON pointer"):
        compile_template(source, ROOTS)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", b"plain"),
        ("two words", b"two words"),
        ("a\r\nX-Admin: 1", b"a%0D%0AX-Admin: 1"),
        ("nul\0", b"nul%00"),
        ("Zoë", b"Zo%C3%AB"),
        ("100%", b"100%25"),
        (" edge ", b"%20edge%20"),
        ("  ", b"%20%20"),
        ("tab\t", b"tab%09"),
        ("\ud800", b"%ED%A0%80"),
    ],
)
def test_a_filled_in_value_stays_one_field(value, expected):
    exchange = make_exchange(principal=make_principal(claims={"sub": value}))
    assert compile_template("{claim.sub}").field_value(exchange) == expected


def test_a_header_is_passed_on_as_it_came():
    exchange = make_exchange(headers=[("X-Url", "/a%20b"), ("X-Name", "Zo\xeb")])
    assert compile_template("{header.X-Url}|{header.X-Name}").field_value(exchange) == b"/a%20b|Zo\xeb"
    assert compile_template("{header.X-Nope}").field_value(exchange) is None


@given(st.text(), st.text())
def test_two_values_never_look_the_same(one, other):
    def filled(value):
        return compile_template("<{claim.x}>").field_value(make_exchange(principal=make_principal(claims={"x": value})))

    encoded = filled(one)
    if one:
        assert encoded is not None
        assert re.fullmatch(rb"<[ -~]+>", encoded)
    if one != other:
        assert encoded != filled(other)


@given(st.text(alphabet="{}ab.path"))
def test_any_text_compiles_or_says_where_it_is_wrong(source):
    position = -1
    try:
        template = compile_template(source)
    except PlaceholderError as problem:
        position = problem.position
    else:
        assert template.source == source
    assert -1 <= position < max(1, len(source))


def test_a_claim_by_its_full_name_comes_before_a_path():
    assert find_claim({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert find_claim({"a": {"b": 2}}, "a.b") == 2
    assert find_claim({"a": [1]}, "a.0") is None
