"""Mistakes that show only beside the rest of the configuration."""

import pytest

from gateway.api.policy import CheckContext, Level
from gateway.api.settings.document import Settings
from gateway.api.settings.route import RouteConfig
from gateway.api.settings.upstream import UpstreamConfig
from policies.idempotency import POLICY
from policies.idempotency.config import IdempotencyConfig
from policies.timeout.config import TimeoutConfig

ROUTE = RouteConfig.model_validate({"name": "r", "match": {"path": "/"}, "upstream": "u"})


def complaints(beside=None, upstream=None, authenticated=True, settings=None, **config):
    context = CheckContext(
        Level.ROUTE,
        ROUTE,
        authenticated=authenticated,
        upstream=UpstreamConfig(targets=["http://a"], **(upstream or {})),
        beside=beside or {},
        settings=Settings.model_validate({"version": 1, **(settings or {})}),
    )
    return [(found.path, found.level, found.message) for found in POLICY.check(IdempotencyConfig(**config), context)]


def test_nothing_is_said_of_the_defaults():
    assert complaints() == []


@pytest.mark.parametrize(
    ("given", "path", "level", "words"),
    [
        ({"lease": 30.0}, ("lease",), "error", "not longer than the route's deadline"),
        ({"beside": {"timeout": TimeoutConfig(total=200.0)}}, ("lease",), "error", "not longer than the route"),
        ({"beside": {"timeout": TimeoutConfig(total=31.0)}}, (), "warning", "drain.timeout, 30s"),
        ({"on_unknown": "retry"}, ("on_unknown",), "error", "honours_idempotency_key"),
        ({"authenticated": False}, (), "warning", "write `scope`"),
        ({"authenticated": False, "scope": "claim:sub"}, ("scope",), "error", "needs an authenticator"),
        ({"store": "memory"}, ("store",), "warning", "a restart forgets every key"),
        ({"settings": {"store": "memory"}}, (), "warning", "a restart forgets every key"),
        ({"store": "redis://cache:6379"}, ("store",), "warning", "acks=N"),
        ({"settings": {"store": "redis://cache:6379"}}, (), "warning", "acks=N"),
        ({"settings": {"stores": {"s": "redis://cache:6379"}, "store": "s"}}, (), "warning", "acks=N"),
    ],
)
def test_what_is_said(given, path, level, words):
    said = [(where, how) for where, how, message in complaints(**given) if words in message]
    assert said == [(path, level)]


@pytest.mark.parametrize(
    "given",
    [
        {"on_unknown": "retry", "upstream": {"honours_idempotency_key": True}},
        {"beside": {"timeout": TimeoutConfig(total=31.0)}, "settings": {"drain": {"timeout": "31s"}}},
        {"store": "redis://cache:6379?acks=2"},
        {"store": "s", "settings": {"stores": {"s": "redis://cache:6379/0?acks=0"}}},
    ],
    ids=["an upstream that deduplicates", "a longer drain", "acks", "acks=0"],
)
def test_what_is_in_order(given):
    assert complaints(**given) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"max_response": "0B"}, "greater than 0"),
        ({"ttl": "1m"}, "ttl .1m. is shorter than lease .2m."),
        ({"final": [429], "release": ["4xx"]}, "is in `final` and in `release`"),
        ({"encrypt": "0f" * 32}, "a secret is never written here"),
        ({"store": "postgres://x"}, "pattern"),
    ],
    ids=["max_response", "ttl", "statuses", "secret", "store"],
)
def test_what_cannot_be_written(wrong, words):
    with pytest.raises(ValueError, match=words):
        IdempotencyConfig.model_validate(wrong, context={})
