"""Whether a gateway grew in a soak: its last third against the middle one, when all that warms up has warmed up."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from loadtests.load.objectives import Verdict
from loadtests.load.recorder import Second, total
from loadtests.load.sampler import Sample, series

MEMORY = 0.02
FEW = 2  # more or less of a thing that comes and goes; one lost at each reload would be dozens

COUNTED = {
    "gateway tasks": "tasks",
    "upstream connections": "connections to upstreams",
    "gateway descriptors": "files and sockets of the workers",
    "supervisor descriptors": "files and sockets of the supervisor",
}
RESIDENT = {"gateway bytes": "the workers", "supervisor bytes": "the supervisor"}


def verdicts(samples: Sequence[Sample], began: float, ended: float) -> list[Verdict]:
    """Of what the samples have; the workers' memory and the counts that `/metrics` gives must be there."""
    third = (ended - began) / 3
    middle = [one for one in samples if began + third <= one.at < began + 2 * third]
    last = [one for one in samples if began + 2 * third <= one.at < ended]
    told = []
    for value, whose in RESIDENT.items():
        before, after = ([amount for _, amount in series(part, value)] for part in (middle, last))
        asked = f"resident memory of {whose} in the last third within {MEMORY:.0%} of the middle third"
        if before and after:
            one, other = statistics.mean(before), statistics.mean(after)
            seen = f"{one / 2**20:.2f} MiB, then {other / 2**20:.2f} ({other / one - 1:+.2%})"
            told.append(Verdict(asked, other <= one * (1 + MEMORY), seen))
        elif value.startswith("gateway"):
            told.append(Verdict(asked, False, "it could not be read"))
    for value, what in COUNTED.items():
        before, after = ([amount for _, amount in series(part, value)] for part in (middle, last))
        asked = f"{what} do not grow"
        if before and after:
            one, other = statistics.median(before), statistics.median(after)
            most = f"at most {max(before):g}, then {max(after):g}"
            told.append(Verdict(asked, other <= one + FEW, f"half of the time up to {one:g}, then {other:g}; {most}"))
        elif not value.startswith("supervisor"):
            told.append(Verdict(asked, False, "they could not be read"))
    return told


def nothing_lost(seconds: Sequence[Second]) -> Verdict:
    """A caller that tries again where that is right gets its answer: what it gets first then is not lost."""
    tally = total(seconds)
    again = sum(one.calls for second in seconds for name, one in second.calls.items() if name.endswith(", tried again"))
    return Verdict("no request is lost", tally.bad == 0, f"{tally.bad} of {tally.calls}; {again} were tried again")
