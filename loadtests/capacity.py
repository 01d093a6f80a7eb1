"""How many processes a load needs: the limit of 1, 2, 3 and 4 workers, a law through three of them, checked against the other.

    python -m loadtests.capacity [--scenario partner] [--share 20] [--rounds 1] [--plan 1000] [--record]      6 minutes a round

Each size is a `breakpoint` run of scripts/load: throughput is the highest level at which every objective of the scenario holds. Each worker has --share
percent of a core, by Debian's cpulimit, so that four of them fit on one core and load and upstream have the other. The law is fitted on 1, 2 and 4
workers; 3 is what its prediction is checked against. With --rounds above 1 the spread over all choices of runs is the confidence.
--record writes loadtests/results/capacity.txt.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtests.load.objectives import read as read_objectives
from loadtests.load.scalability import fit, fits
from loadtests.machine import record
from loadtests.scenarios import SCENARIOS

HERE = Path(__file__).parent
FITTED, CHECKED = (1, 2, 4), 3
START = 30.0  # calls a second of one worker, where the search begins


def limit_of(scenario: str, workers: int, share: int, seconds: float) -> float:
    """Calls a second that so many workers hold. Raises CalledProcessError when the run says nothing."""
    with tempfile.TemporaryDirectory(prefix="sluicegate-capacity-") as folder:
        command = [sys.executable, "-m", "loadtests.load", scenario, "breakpoint", "--level", f"{START * workers:g}"]
        command += ["--workers", str(workers), "--share", str(share), "--seconds", f"{seconds:g}", "--out", folder]
        subprocess.run(command, cwd=HERE.parent, check=True, stdout=subprocess.DEVNULL)
        limit = json.loads((Path(folder) / "summary.json").read_text())["limit"]
        print(
            f"{workers} workers: {limit['held']:.0f} calls/s; saturated first: {limit['saturated_first']}", flush=True
        )
        return float(limit["held"])


def told(rounds: Mapping[int, Sequence[float]], scenario: str, share: int, plan: float | None) -> list[str]:
    """The model, as lines."""
    law = fit({size: statistics.median(rounds[size]) for size in FITTED})
    several = fits({size: rounds[size] for size in FITTED})
    measured = statistics.median(rounds[CHECKED])
    objectives = [one for one in read_objectives(HERE / "objectives.yaml", scenario) if one.call]
    within = "; ".join(f"{one.share:g}% of '{one.call}' within {one.within_ms:g} ms" for one in objectives)
    rows = [
        f"{scenario}, each worker {share}% of a core; fitted on {', '.join(map(str, FITTED))} workers, checked on {CHECKED}, which the fit has not seen",
        f"objectives: {within}",
        f"{'workers':>8}{'predicted/s':>13}{'from':>8}{'to':>8}{'measured/s':>12}",
    ]
    for size in (1, 2, 3, 4, 6, 8):
        between = [one.throughput(size) for one in several]
        seen = f"{statistics.median(rounds[size]):12.0f}" if size in rounds else f"{'-':>12}"
        rows.append(f"{size:8}{law.throughput(size):13.0f}{min(between):8.0f}{max(between):8.0f}{seen}")
    rows.append(f"prediction for {CHECKED}: {law.throughput(CHECKED) / measured - 1:+.1%} of what was measured")
    knee = "none: no sign that a worker costs the others" if math.isinf(law.knee) else f"{law.knee:.1f} workers"
    rows.append(f"contention {law.contention:.3f}, coherence {law.coherence:.4f}, knee {knee}")
    wanted = plan or 5 * law.throughput(1)
    need = law.processes_for(wanted)
    slowest = max(one.within_ms for one in objectives)
    rows.append(
        f"for {wanted:.0f} calls/s within {slowest:g} ms plan {need if need is not None else 'more machines: no number of processes does it'}{'' if need is None else ' processes'}"
    )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--scenario", choices=[name for name, about in SCENARIOS.items() if not about.holds], default="partner"
    )
    parser.add_argument("--share", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--plan", type=float, metavar="CALLS_A_SECOND")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    if shutil.which("cpulimit") is None:
        sys.exit("loadtests.capacity: needs cpulimit, of Debian: apt-get install cpulimit")
    sizes = sorted({*FITTED, CHECKED})
    rounds: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(options.rounds):
        for size in sizes:
            rounds[size].append(limit_of(options.scenario, size, options.share, options.seconds))
    table = "\n".join(told(rounds, options.scenario, options.share, options.plan))
    print(table)
    if options.record:
        record("capacity.txt", table)


if __name__ == "__main__":
    main()
