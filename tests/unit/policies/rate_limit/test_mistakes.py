"""rate_limit: what is refused when the configuration is checked."""

from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from gateway.api.policy import CheckContext, Level
from policies.rate_limit import POLICY
from policies.rate_limit.config import RateLimitConfig


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"per": "ip"}, "needs `rate`"),
        ({"per": "planet", "rate": "1/s"}, "pattern"),
        ({"per": "header:", "rate": "1/s"}, "pattern"),
        ({"per": 'claim:a"b', "rate": "1/s"}, "pattern"),
        ({"rate": "0/s"}, "lets nothing through"),
        ({"rate": 50}, "not a rate"),
        ({"rate": "50"}, "not a rate"),
        ({"rate": "50/s", "burst": 0}, "greater than or equal to 1"),
        ({"burst": 5}, "burst without rate"),
        ({"scope": "gateway"}, "scope without rate"),
        ({"rate": "50/s", "cost": 51}, "never passes a burst of 50"),
        ({"rate": "50/s", "cost": {"POST": 51}}, "never passes a burst of 50"),
        ({"rate": "50/s", "cost": 0}, "greater than or equal to 1"),
        ({"rate": "50/s", "cost": {"post": 1}}, "pattern"),
        ({"rate": "50/s", "brust": 1}, "Extra inputs"),
    ],
)
def test_mistakes_are_told(config, word):
    with pytest.raises(ValidationError, match=word):
        RateLimitConfig(**config)


def complaints(config, **context):
    found = POLICY.check(RateLimitConfig(**config), CheckContext(**{"level": Level.ROUTE, **context}))
    return [(complaint.path, complaint.level) for complaint in found]


def test_a_cost_above_a_tiers_burst():
    tiers = {
        "free": SimpleNamespace(burst=3),
        "premium": SimpleNamespace(burst=30),
        "open": SimpleNamespace(burst=None),
    }
    assert complaints({"cost": 5}, tiers=tiers) == [(("cost",), "error")]
    assert complaints({"cost": 2}, tiers=tiers) == []
    assert complaints({"cost": 5, "rate": "5/s"}, tiers=tiers) == []


def test_scopes_that_make_no_sense():
    config = {"per": "ip", "rate": "1/s"}
    respond = SimpleNamespace(upstream=None)
    assert complaints({**config, "scope": "upstream"}, route=respond) == [(("scope",), "error")]
    assert complaints({**config, "scope": "upstream"}, route=SimpleNamespace(upstream="x")) == []
    assert complaints({**config, "scope": "route"}, level=Level.GLOBAL) == [(("scope",), "warning")]
    assert complaints(config, level=Level.GLOBAL) == []
