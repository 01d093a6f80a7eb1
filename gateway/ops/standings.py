"""How the targets of upstreams stand, as all workers see them together. Asks nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.runtime.counters import Counters
from gateway.telemetry.metrics import Family

STATES = ("unhealthy", "ejected", "unreachable", "slow_start", "in")
"""The worst first: where workers differ, a target is shown as the one that sees it worst."""

TARGET_STATE = Family(
    "sluicegate_upstream_target_state", "gauge", "Workers that see a target so.", ("upstream", "target", "state")
)

Standings = dict[str, dict[str, dict[str, Any]]]
"""By upstream and target: state, why, called, workers, and where they are known back_in_s and closes_idle_after_s."""


def standings_of(counters: Iterable[Counters]) -> Standings:
    seen: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in counters:
        for upstream, targets in one.standings.items():
            for url, standing in targets.items():
                seen.setdefault((upstream, url), []).append(standing)
    total: Standings = {}
    for (upstream, url), views in seen.items():
        total.setdefault(upstream, {})[url] = _together(views)
    return total


def target_states(standings: Standings) -> Iterator[tuple[Family, tuple[str, ...], float]]:
    for upstream, targets in standings.items():
        for url, standing in targets.items():
            for state in STATES:
                yield TARGET_STATE, (upstream, url, state), standing["workers"].get(state, 0)


def _together(views: list[Mapping[str, Any]]) -> dict[str, Any]:
    worst = min(views, key=lambda view: STATES.index(view["state"]))
    merged: dict[str, Any] = {
        "state": worst["state"],
        "why": worst["why"],
        "called": any(view["called"] for view in views),
        "workers": dict(Counter(view["state"] for view in views)),
    }
    if "back_in_s" in worst:
        merged["back_in_s"] = worst["back_in_s"]
    if known := [view["closes_idle_after_s"] for view in views if "closes_idle_after_s" in view]:
        merged["closes_idle_after_s"] = min(known)
    return merged
