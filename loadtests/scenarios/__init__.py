"""The scenarios by name: what each asks of the gateway and what it needs. Imports no locust, so that a command line stays quick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadtests.scenarios.base import Scenario


@dataclass(frozen=True)
class About:
    summary: str
    user: str
    """module:class below loadtests.scenarios."""
    asks: tuple[str, ...]
    """What it calls, as preflight.py names it."""
    level: float
    """What `steady` and its like ask for unless --level says otherwise, in `unit`."""
    unit: str = "calls/s"
    holds: bool = False
    """Holds connections instead of making calls: the level is how many."""
    noisy: bool = False
    fresh_tokens: bool = False

    def load(self) -> type[Scenario]:
        module, _, name = self.user.partition(":")
        found: type[Scenario] = getattr(import_module(f"loadtests.scenarios.{module}"), name)
        return found


SCENARIOS: Mapping[str, About] = {
    "partner": About(
        "partners with tokens: reads, their own profile, orders with idempotency keys, honest retries, replays",
        "partner:Partner",
        ("orders", "create", "profile"),
        100,
    ),
    "noisy-neighbour": About(
        "one consumer calls ten times as often as it may; the level is that of the others, who must not notice",
        "noisy_neighbour:NoisyNeighbour",
        ("orders", "noisy"),
        100,
        noisy=True,
    ),
    "legacy-mix": About(
        "SOAP and fixed-width calls beside plain ones, their faults included",
        "legacy_mix:LegacyMix",
        ("orders", "stock", "customers"),
        60,
    ),
    "cache-mix": About(
        "10,000 products by Zipf's law, and private answers that are each caller's own",
        "cache_mix:CacheMix",
        ("products", "profile"),
        150,
    ),
    "login-storm": About(
        "every call comes with a token that nobody has seen before",
        "login_storm:LoginStorm",
        ("orders",),
        100,
        fresh_tokens=True,
    ),
    "sse": About("holders of server-sent events", "holders:Events", ("events",), 50, "streams", holds=True),
    "websocket": About("holders of WebSockets", "holders:Sockets", ("socket",), 50, "sockets", holds=True),
}
