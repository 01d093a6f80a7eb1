"""Keys as they arrive, and what makes two requests the same."""

import pytest

from gateway.testing.exchange import make_exchange
from policies.idempotency.request import LONGEST, BadKey, canonical, fingerprint, key_of, record_key

ALL = "method,path,query,body,header:X-Tenant"


def request(method="POST", target="/orders?a=1", **headers):
    return make_exchange(method, target, headers.items()).request


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b"k-1", "k-1"),
        (b'"k-1"', "k-1"),
        (b'  "a, b" ', "a, b"),
        (b'"k";p=1', "k"),
        (b'"say \\"x\\""', 'say "x"'),
        (b"8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        (b"x" * LONGEST, "x" * LONGEST),
    ],
)
def test_keys(value, key):
    assert key_of([value]) == key


def test_no_key():
    assert key_of([]) is None


@pytest.mark.parametrize(
    "values",
    [
        [b""],
        [b"  "],
        [b'""'],
        [b"x" * (LONGEST + 1)],
        [b'"' + b"x" * 10_240 + b'"'],
        [b"x" * 10_240],
        ["é".encode()],
        ['"é"'.encode()],
        [b"\xff"],
        [b'"\xff"'],
        [b"a,b"],
        [b'"a", "b"'],
        [b"a b"],
        [b'"open'],
        [b'"a"b'],
        [b'a"b'],
        [b"a\x00b"],
        [b"a", b"a"],
        [b"a", b""],
    ],
)
def test_what_is_no_key(values):
    with pytest.raises(BadKey) as bad:
        key_of(values)
    assert all(value.decode("latin-1") not in str(bad.value) for value in values if len(value) > 3)


def test_each_selected_part_counts():
    base = request(**{"X-Tenant": "a"})
    others = [
        (request("PATCH", **{"X-Tenant": "a"}), b"body"),
        (request(target="/other?a=1", **{"X-Tenant": "a"}), b"body"),
        (request(target="/orders?a=2", **{"X-Tenant": "a"}), b"body"),
        (request(**{"X-Tenant": "b"}), b"body"),
        (base, b"other"),
    ]
    found = [fingerprint(ALL, base, b"body", {})] + [fingerprint(ALL, each, body, {}) for each, body in others]
    assert len(set(found)) == len(found)


def test_other_fields_do_not_count():
    one = request(**{"Content-Type": "a/b", "X-A": "1", "X-Tenant": "a"})
    other = request(**{"X-Tenant": "a", "X-A": "2"})
    assert fingerprint(ALL, one, b"", {}) == fingerprint(ALL, other, b"", {})


def test_parts_do_not_run_into_each_other():
    one, other = (fingerprint("path,query", request(target=target), b"", {}) for target in ("/ab?c", "/a?bc"))
    assert one != other


def test_callers_never_meet():
    assert record_key("a", "b:c") != record_key("a:b", "c")


def test_a_keyed_fingerprint_needs_its_key():
    secrets = {"one": b"1" * 32, "two": b"2" * 32}
    found = [fingerprint(f"body,key:{name}", request(), b"x", secrets) for name in secrets]
    assert len({*found, fingerprint("body", request(), b"x", {})}) == 3
    assert fingerprint("body,key:gone", request(), b"x", secrets) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a": 1, "b": [true, null]}', b'{ "b":[true,null],"a":1.0 }'),
        (b'{"e": 1e2}', b'{"e":100}'),
        (b'{"n": "\\u00e9"}', '{"n":"é"}'.encode()),
    ],
)
def test_bodies_that_mean_the_same(one, other):
    assert one != other
    assert canonical(one) == canonical(other)
    assert fingerprint("canonical-body", request(), one, {}) == fingerprint("canonical-body", request(), other, {})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b'{"a": 1, "a": 1}',  # which of two counts is for the upstream to say
        b'{"a": 9007199254740993}',  # no double: what it would be rounded to is another amount
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b"\xff",
        b"[" * 100_000,
    ],
    ids=["empty", "text", "a name twice", "large number", "NaN", "half a character", "not UTF-8", "deep"],
)
def test_what_has_no_canonical_form_equals_only_itself(body):
    assert canonical(body) == body


def test_the_example_of_the_rfc():
    """RFC 8785 §3.2.2 and §3.2.3."""
    written = rb"""{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}"""
    assert (
        canonical(written)
        == (
            '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode()
    )
