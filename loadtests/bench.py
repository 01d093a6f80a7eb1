"""`scripts/bench`: the micro-benchmarks against the recorded ones, or everything beside the peers.

    scripts/bench [--bench PATTERN] [--fast] [--record]      some minutes, fewer with --fast; 1 when something became slower
    scripts/bench peers [--fast] [--record]                  sidebyside.py in all its scenarios, then paced.py; 15 minutes;
                                                             with --fast one round of a second each, to see that it runs

What is compared are ratios to a calibration loop of the same run: a slower machine is no regression. A ratio that is above the recorded one by
more than LIMIT is one. --record writes loadtests/results/micro.json (peers: their own tables), with machine and commit.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyperf

from loadtests.machine import commit, machine
from loadtests.micro.hot import BENCHES, CALIBRATION

HERE = Path(__file__).parent
RECORDED = HERE / "results" / "micro.json"
LIMIT = 1.25  # chosen, not measured: what differs by less is taken for noise
PEERS = (
    ("sidebyside.py", "passthrough"),
    ("sidebyside.py", "secured"),
    ("sidebyside.py", "secured-cold"),
    ("sidebyside.py", "cached"),
    ("paced.py",),
    ("paced.py", "cached"),
)


def ratios(medians: Mapping[str, float]) -> dict[str, float]:
    """Each median by the calibration's."""
    return {name: seconds / medians[CALIBRATION] for name, seconds in medians.items() if name != CALIBRATION}


def compared(
    now: Mapping[str, float], recorded: Mapping[str, float], medians: Mapping[str, float]
) -> tuple[list[str], bool]:
    """The table, and whether nothing became slower."""
    rows = [f"{'':42}{'µs':>9}{'ratio':>9}{'recorded':>10}{'change':>9}"]
    good = True
    for name, ratio in now.items():
        before = recorded.get(name)
        row = f"{name:42}{medians[name] * 1e6:9.2f}{ratio:9.3f}"
        if before is None:
            rows.append(f"{row}{'-':>10}")
            continue
        slower = ratio > before * LIMIT
        good = good and not slower
        rows.append(f"{row}{before:10.3f}{ratio / before - 1:+9.0%}{'  SLOWER' if slower else ''}")
    return rows, good


def measured(pattern: str, fast: bool) -> dict[str, float]:
    """Median seconds of each benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "micro.json"
        command = [sys.executable, "-m", "loadtests.micro.hot", "-o", str(out), "--bench", pattern]
        subprocess.run([*command, *(["--fast"] if fast else [])], cwd=HERE.parent, check=True)
        return {one.get_name(): one.median() for one in pyperf.BenchmarkSuite.load(str(out)).get_benchmarks()}


def peers(fast: bool, record: bool) -> int:
    """The first status that is not 0; what comes after it is measured all the same."""
    failed = 0
    more = [*(("--rounds", "1", "--seconds", "1") if fast else ()), *(("--record",) if record else ())]
    for script, *arguments in PEERS:
        print(f"== {script} {' '.join(arguments)}", flush=True)
        status = subprocess.run([sys.executable, str(HERE / script), *arguments, *more], cwd=HERE.parent).returncode
        failed = failed or status
    return failed


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=["micro", "peers"], default="micro")
    parser.add_argument("--bench", default="", metavar="PATTERN", help="only those whose name it finds")
    parser.add_argument("--fast", action="store_true", help="less of everything, less sure")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args(argv)
    if options.what == "peers":
        if options.bench:
            parser.error("--bench chooses among the micro-benchmarks; peers have none")
        if options.fast and options.record:
            parser.error("--fast shows that the peers run: nothing of it is worth recording")
        return peers(options.fast, options.record)
    if not any(re.search(options.bench, name) for name in BENCHES):
        parser.error(f"--bench {options.bench}: no benchmark is called so; there are: {', '.join(BENCHES)}")
    medians = measured(options.bench, options.fast)
    now = ratios(medians)
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {"ratios": {}, "machine": "nothing recorded"}
    rows, good = compared(now, recorded["ratios"], medians)
    print("\n".join(rows))
    print(f"\ncalibration {medians[CALIBRATION] * 1e6:.2f} µs; recorded on: {recorded['machine']}")
    if options.record:
        kept = {"machine": machine(), "commit": commit(), "ratios": {**recorded["ratios"], **now}}
        RECORDED.write_text(json.dumps(kept, indent=2) + "\n")
        return 0
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
