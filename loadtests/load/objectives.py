"""Objectives of a scenario, as loadtests/objectives.yaml has them, and whether what was measured holds them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from loadtests.load.recorder import Second, Tally, latency_of, percentile, total

_WITHIN = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)%")


class ObjectivesError(Exception):
    """What the file says wrong, for its author."""


@dataclass(frozen=True)
class Verdict:
    """One objective or check: what was asked, whether it held, and the figure that shows it."""

    asked: str
    held: bool
    seen: str


@dataclass(frozen=True)
class Objective:
    """`share` of the calls named `call` went well within `within_ms`; or, with `errors`, at most that share of all calls failed."""

    call: str = ""
    share: float = 0.0
    within_ms: float = 0.0
    errors: float | None = None

    def judge(self, seconds: Sequence[Second]) -> Verdict:
        if self.errors is not None:
            tally = total(seconds)
            share = tally.bad / tally.calls if tally.calls else 1.0
            return Verdict(
                f"at most {self.errors:.3%} of all calls fail", share <= self.errors, f"{share:.3%} of {tally.calls}"
            )
        tally = total(seconds, [self.call])
        asked = f"{self.share:.4g}% of '{self.call}' within {self.within_ms:g} ms"
        if not tally.calls:
            return Verdict(asked, False, "no such call was made")
        share = within(tally, self.within_ms) / tally.calls
        at = percentile(tally.latencies, self.share / 100)
        return Verdict(asked, share >= self.share / 100, f"{share:.3%} of {tally.calls}; that share took {at:.1f} ms")


def within(tally: Tally, limit_ms: float) -> int:
    return sum(count for step, count in tally.latencies.items() if latency_of(step) <= limit_ms)


def read(path: Path, scenario: str) -> list[Objective]:
    """Raises ObjectivesError."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ObjectivesError(f"{path}: {problem.strerror}") from None
    except yaml.YAMLError as problem:
        raise ObjectivesError(f"{path}: {problem}") from None
    rows = document.get(scenario) if isinstance(document, dict) else None
    if not isinstance(rows, list) or not rows:
        raise ObjectivesError(f"{path}: no objectives for {scenario}")
    return [_objective(path, scenario, row) for row in rows]


def judge(objectives: Iterable[Objective], seconds: Sequence[Second]) -> list[Verdict]:
    return [objective.judge(seconds) for objective in objectives]


def _objective(path: Path, scenario: str, row: Any) -> Objective:
    where = f"{path}: {scenario}: {row}"
    if not isinstance(row, dict):
        raise ObjectivesError(f"{where}: write {{call: NAME, share: 99.9%, within: 200ms}} or {{errors: 0.1%}}")
    if set(row) == {"errors"}:
        return Objective(errors=_percent(where, row["errors"]) / 100)
    if set(row) != {"call", "share", "within"}:
        raise ObjectivesError(f"{where}: needs call, share and within, or errors alone")
    found = _WITHIN.fullmatch(str(row["within"]))
    if found is None:
        raise ObjectivesError(f"{where}: within is a duration, such as 200ms")
    return Objective(
        str(row["call"]), _percent(where, row["share"]), float(found[1]) * (1 if found[2] == "ms" else 1000)
    )


def _percent(where: str, written: object) -> float:
    found = _SHARE.fullmatch(str(written))
    if found is None or float(found[1]) > 100:
        raise ObjectivesError(f"{where}: a share is a percentage, such as 99.9%")
    return float(found[1])
