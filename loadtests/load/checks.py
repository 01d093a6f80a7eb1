"""What must be true of a run beside its objectives: no wrong answer, nothing executed twice, a limit that held."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from loadtests.load.objectives import Verdict
from loadtests.load.plan import Caller
from loadtests.load.recorder import Second, total

TOLERANCE = 0.05
NOISE = "noisy"  # the name of its calls
PREFLIGHT = "preflight/"
ONCE = "every order that was accepted is executed once, none twice"


def right_answers(seconds: Sequence[Second]) -> Verdict:
    tally = total(seconds)
    wrong = sum(tally.wrong.values())
    kinds = "; ".join(f"{count} times {what}" for what, count in tally.wrong.most_common(3))
    return Verdict(
        "every answer is right, and the caller's own", wrong == 0, kinds or f"{tally.calls} answers or refusals"
    )


def executed_once(files: Iterable[Path], executed: Mapping[str, int]) -> Verdict:
    """`executed` is what the upstream counted, by the name that each order had to itself."""
    accepted = {line for path in files for line in path.read_text(encoding="utf-8").splitlines()}
    ours = {item: count for item, count in executed.items() if "/" in item and not item.startswith(PREFLIGHT)}
    twice = sum(1 for count in ours.values() if count > 1)
    lost = len(accepted - ours.keys())
    return Verdict(
        ONCE,
        not twice and not lost,
        f"{len(accepted)} accepted, {len(ours)} executed, {twice} twice, {lost} not at all",
    )


def load_sent(asked: float, seconds: Sequence[Second]) -> Verdict:
    """Calls come at random, so their number varies by its root; fewer than that mean that a generating process failed.

    The noisy neighbour's come beside what was asked for.
    """
    calls = total(seconds).calls - total(seconds, [NOISE]).calls
    least = (1 - TOLERANCE) * asked - 4 * math.sqrt(asked)
    return Verdict("the load that was asked for was sent", calls >= least, f"{calls} calls of about {asked:.0f}")


def limit_held(caller: Caller, seconds: Sequence[Second], lasted_s: float, starts: int) -> Verdict:
    """Admitted is what the rate gives in the time, and a burst after each pause, with TOLERANCE; not much less either.

    Each start may have a second more: a change of the level is seen a little late.
    """
    tally = total(seconds, [NOISE])
    admitted = tally.codes["200"]
    most = (caller.rate * (lasted_s + starts) + caller.burst * starts) * (1 + TOLERANCE)
    least = caller.rate * (lasted_s - starts) * (1 - TOLERANCE)
    return Verdict(
        f"{caller.name} is held to {caller.rate:g}/s and a burst of {caller.burst:g}",
        least <= admitted <= most,
        f"{admitted} of {tally.calls} calls admitted in {lasted_s:.0f} s; {max(0.0, least):.0f} to {most:.0f} are right",
    )
