"""Keys as they arrive, and what makes two requests the same."""

import pytest

from gateway.testing.exchange import make_exchange
from policies.idempotency.request import LONGEST, BadKey, fingerprint, key_of, record_key

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
    found = [fingerprint(ALL, base, b"body")] + [fingerprint(ALL, each, body) for each, body in others]
    assert len(set(found)) == len(found)


def test_other_fields_do_not_count():
    one = request(**{"Content-Type": "a/b", "X-A": "1", "X-Tenant": "a"})
    other = request(**{"X-Tenant": "a", "X-A": "2"})
    assert fingerprint(ALL, one, b"") == fingerprint(ALL, other, b"")


def test_parts_do_not_run_into_each_other():
    assert fingerprint("path,query", request(target="/ab?c"), b"") != fingerprint(
        "path,query", request(target="/a?bc"), b""
    )


def test_callers_never_meet():
    assert record_key("a", "b:c") != record_key("a:b", "c")
