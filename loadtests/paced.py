"""Latency at the same paced rate: `hey` with every connection paced, the same for the gateway and its peers.

    python loadtests/paced.py [passthrough|cached] [--connections 64] [--seconds 5] [--rounds 3] [--only envoy] [--record]

The rates are 50 % and 80 % of Envoy's (or the first peer's) maximum, found first in a closed loop. Targets run alone, pinned
to core 0; load and upstream share core 1; rounds are interleaved and the table gives medians, in milliseconds. A target that
cannot hold the rate shows a lower `rps`. --record writes loadtests/results/paced.txt, or paced-cached.txt. Needs Debian's `hey` beside nginx and wrk.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import tempfile
from pathlib import Path

from machine import record
from peers import UPSTREAM_PORT, peers, upstream_config
from sidebyside import BODY, check_answer, load, own_targets, start, stop, wait_port


def paced(port: int, rate: float, connections: int, seconds: float) -> dict[str, float]:
    out = subprocess.run(
        ["taskset", "-c", "1", "hey", "-z", f"{seconds:g}s", "-c", str(connections), "-q", f"{rate / connections:.2f}",
         f"http://127.0.0.1:{port}/orders/1"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = {percent: 1000 * float(value) for percent, value in re.findall(r"(\d+)%+ in ([\d.]+) secs", out)}
    good = re.search(r"\[200\]\s+(\d+) responses", out)
    every = sum(map(int, re.findall(r"\[\d+\]\s+(\d+) responses", out)))
    if good is None or int(good[1]) != every or "Error distribution" in out:
        raise RuntimeError("answers failed:\n" + out)
    return {"rps": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), "p50": found["50"], "p99": found["99"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="?", choices=["passthrough", "cached"], default="passthrough")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only",
        help="comma-separated peers, the reference first (default: envoy, or the first there is; cached: varnish,nginx)",
    )
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    workdir = Path(tempfile.mkdtemp(prefix="paced-"))
    cached = arguments.scenario == "cached"
    found = {peer.name: peer for peer in peers(arguments.scenario, workdir)}
    wanted = (arguments.only or ("varnish,nginx" if cached else "envoy")).split(",")
    chosen = [found[name] for name in wanted if name in found]
    if not chosen and arguments.only is None:
        chosen = list(found.values())[:1]
    if not chosen:
        parser.error("there is no peer to take the rates from; peers.py says how each is installed")
    targets = [*own_targets(arguments.scenario, workdir), *chosen]
    results: dict[tuple[str, float], list[dict[str, float]]] = {}
    upstream = start(upstream_config(workdir, BODY), 1, workdir / "upstream.log")
    try:
        wait_port(UPSTREAM_PORT, upstream)
        reference = start(chosen[0].command, 0, workdir / "reference.log")
        wait_port(chosen[0].port, reference)
        most = load(chosen[0].port, 4, arguments.connections, None)["rps"]
        stop(reference)
        for _ in range(arguments.rounds):
            for target in targets:
                process = start(target.command, 0, workdir / f"{target.name}.log")
                try:
                    wait_port(target.port, process)
                    load(target.port, 2, arguments.connections, None)
                    check_answer(target.port, None)
                    for share in (0.5, 0.8):
                        run = paced(target.port, most * share, arguments.connections, arguments.seconds)
                        results.setdefault((target.name, share), []).append(run)
                finally:
                    stop(process)
    finally:
        stop(upstream)
    lines = [f"{arguments.connections} paced connections; {chosen[0].name}'s maximum: {most:.0f} a second",
             f"{'target':<20}{'rate':>8}{'rps':>8}{'p50':>8}{'p99':>8}"]  # fmt: skip
    for (name, share), runs in sorted(results.items(), key=lambda item: (item[0][1], item[0][0])):
        median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        lines.append(f"{name:<20}{share:>8.0%}{median['rps']:>8.0f}{median['p50']:>8.2f}{median['p99']:>8.2f}")
    table = "\n".join(lines)
    print(table)
    if arguments.record:
        record("paced-cached.txt" if cached else "paced.txt", table)


if __name__ == "__main__":
    main()
