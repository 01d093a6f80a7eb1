"""ip_allow: who gets in, and what a refusal looks like."""

import pytest
from pydantic import ValidationError

from gateway.testing.exchange import FakeScope, make_exchange
from policies.ip_allow import POLICY
from policies.ip_allow import policy as module
from policies.ip_allow.config import IpAllowConfig


def gate(scope=None, /, **config):
    return POLICY.build(IpAllowConfig(**config), scope or FakeScope(policy="ip_allow"))


@pytest.mark.parametrize(
    ("allow", "deny", "client", "admitted"),
    [
        (["10.0.0.0/8"], [], "10.1.2.3", True),
        (["10.0.0.0/8"], [], "11.1.2.3", False),
        (["10.0.0.0/8"], [], "::ffff:10.1.2.3", True),
        (["10.0.0.0/8"], ["10.66.0.0/16"], "10.66.0.1", False),
        (["10.0.0.0/8"], ["10.66.0.0/16"], "10.67.0.1", True),
        ([], ["10.66.0.0/16"], "203.0.113.9", True),
        ([], ["::/0"], "203.0.113.9", True),
        ([], ["::/0"], "2001:db8::1", False),
        (["2001:db8::/32"], [], "2001:db8:ffff::1", True),
        (["192.0.2.7"], [], "192.0.2.7", True),
        (["192.0.2.7"], [], "192.0.2.8", False),
        (["0.0.0.0/0", "::/0"], [], "", False),
        ([], ["0.0.0.0/0"], "", True),
    ],
)
def test_who_gets_in(allow, deny, client, admitted):
    scope = FakeScope()
    built = gate(scope, allow=allow, deny=deny)
    for _ in range(2):  # decided, then remembered
        refusal = built.check(make_exchange(client=client))
        assert (refusal is None) is admitted
    assert scope.counts() == {"allow" if admitted else "refuse": 2}


def test_a_refusal_is_a_problem_that_echoes_nothing():
    exchange = make_exchange(client="203.0.113.9")
    refusal = gate(allow=["10.0.0.0/8"]).check(exchange)
    assert refusal.status == 403
    assert b'"code":"ip_allow.refused"' in refusal.body
    assert b"203.0.113.9" not in refusal.body
    assert exchange.codes == ["ip_allow.refused"]


def test_remembered_decisions_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 3)
    built = gate(allow=["10.0.0.0/8"])
    for n in range(10):
        assert built.check(make_exchange(client=f"10.0.0.{n}")) is None
        assert len(built._decided) <= 3


def test_a_list_that_says_nothing_is_a_mistake():
    with pytest.raises(ValidationError, match="lets everybody in"):
        IpAllowConfig()


def test_networks_are_checked():
    with pytest.raises(ValidationError, match="not an address or network"):
        IpAllowConfig(allow=["10.0.0.0/99"])
