#!/usr/bin/env python3
"""Measure the gateway and its peers on the same work, side by side, in one run.

    python loadtests/sidebyside.py SCENARIO [--target NAME=PORT=COMMAND ...] [--rounds 15] [--seconds 1]
                                   [--connections 64] [--record]

SCENARIO is passthrough, secured, secured-cold, secured-cold-es256 or cached; peers.py says what each asks of a target.
`sluicegate serve` is measured on Granian and on uvicorn, with its access log and metrics on; --target adds others.
--record writes the table to loadtests/results/ with the machine and the commit.

Targets are pinned to core 0, and idle while another has its round; the load generator (wrk) and the upstream (nginx)
share core 1. Rounds are short and interleaved (A B C, A B C, ...), so a drift of the machine hits every target alike. Where tokens
must be new, targets are started for each round, which is longer (3 of 4 s). Per target the table gives the median over the rounds:

    cpu_us    processor time per request of the target's whole process tree, microseconds
    spread    (highest - lowest) / median of cpu_us over the rounds: a ratio means something beyond it
    rps       requests per second, closed loop: each connection waits for its answer
    p50, p99  latency at that rate as wrk saw it, milliseconds; to compare latencies pace all alike
              (`hey -q` from Debian; stalls are understated, for all)
    rss_mb    resident memory of the process tree after the last round, MiB
    core1     how busy the core of load and upstream was; near 100 % it, not the target, set the rate
    x_envoy   cpu_us divided by Envoy's of the same round; cached: by nginx's and by Varnish's, its varnishncsa included (by
              the first peer's where none of them is there)
    least     the same ratio of the least cpu_us of each: what is left when the others on the machine are quiet

Absolute figures hold for nobody else's machine: quote the ratios. For `secured` the key is written to
WORKDIR/jwks.json and WORKDIR/public.pem, and 1,000 tokens are used in turn: issuer https://idp.example, audience
orders, subject and client_id caller-0 to caller-999, scope orders:read; for `secured-cold` 30,000 other tokens of theirs. `{workdir}` in a COMMAND is replaced
by that folder, so that a configuration can name these files. Before each round one answer must be 200 with the
upstream's body to the byte, and no answer of the round may be an error: else the target is reported as FAILED.

Needs: nginx, wrk (Debian); cryptography (PyPI) for `secured`; see peers.py for the peers.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import configurations
from machine import record
from peers import UPSTREAM_PORT, Peer, alg_of, peers, upstream_config
from processes import cpu_and_rss
from tokens import Issuer, wrk_script

REFERENCES = {"cached": ("nginx", "varnish")}
COLD = 30_000  # tokens sent in turn; more than any target remembers, so that one that comes again is new to it
BODY = json.dumps({"id": "ord-1", "lines": [{"sku": f"sku-{i:04d}", "qty": i, "price": "12.50"} for i in range(22)]})


def wait_port(port: int, process: subprocess.Popen, limit_s: float = 15) -> None:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"exited with {process.returncode} before it listened on {port}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port} after {limit_s:.0f} s")


def start(command: list[str], core: int, log: Path) -> subprocess.Popen:
    return subprocess.Popen(
        ["taskset", "-c", str(core), *command], stdout=log.open("ab"), stderr=subprocess.STDOUT, start_new_session=True
    )


def stop(process: subprocess.Popen) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(5)
            return
        except subprocess.TimeoutExpired:
            continue


def milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}[unit]


def core_times(core: int) -> tuple[float, float]:
    """(busy, all) ticks of one core since boot."""
    line = next(row for row in Path("/proc/stat").read_text().splitlines() if row.startswith(f"cpu{core} "))
    ticks = [float(field) for field in line.split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def check_answer(port: int, token: str | None) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/orders/1", headers={"Authorization": f"Bearer {token}"} if token else {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200 or body != BODY.encode():
        raise RuntimeError(f"answered {answer.status} with {len(body)} bytes, not 200 with the upstream's {len(BODY)}")


def load(port: int, seconds: float, connections: int, script: Path | None) -> dict[str, float]:
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency"]
    if script:
        command += ["-s", str(script)]
    out = subprocess.run([*command, f"http://127.0.0.1:{port}/orders/1"], capture_output=True, text=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    return {
        "requests": float(re.search(r"(\d+) requests in", out).group(1)),
        "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
        "p50": milliseconds(re.search(r"^\s+50%\s+(\S+)", out, re.M).group(1)),
        "p99": milliseconds(re.search(r"^\s+99%\s+(\S+)", out, re.M).group(1)),
        "bad": (float(bad.group(1)) if bad else 0.0) + (sum(map(int, errors.groups())) if errors else 0.0),
    }


def write_tokens(workdir: Path, scenario: str) -> tuple[Path, Path, str]:
    """Writes key and wrk scripts; returns that for warming up, that for the round, and one of the tokens."""
    issuer = Issuer(workdir, alg_of(scenario))

    def requests(count: int) -> list[tuple[str, str]]:
        callers = (f"caller-{number % configurations.CALLERS}" for number in range(count))
        return [("/orders/1", issuer.token(caller, "orders:read")) for caller in callers]

    known = requests(configurations.CALLERS)
    warm = wrk_script(workdir, known)
    cold = scenario.startswith("secured-cold")
    return warm, wrk_script(workdir, requests(COLD), "cold") if cold else warm, known[0][1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", choices=configurations.TEXTS)
    parser.add_argument("--target", action="append", default=[], metavar="NAME=PORT=COMMAND")
    parser.add_argument("--only", help="comma-separated names of the peers to run (default: all)")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--workdir", type=Path)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    cold = "cold" in arguments.scenario
    arguments.rounds = arguments.rounds or (3 if cold else 15)
    arguments.seconds = arguments.seconds or (4 if cold else 1)

    workdir = arguments.workdir or Path(tempfile.mkdtemp(prefix="sidebyside-"))
    workdir.mkdir(parents=True, exist_ok=True)
    secured = arguments.scenario.startswith("secured")
    warm, script, token = write_tokens(workdir, arguments.scenario) if secured else (None, None, None)
    targets = own_targets(arguments.scenario, workdir)
    for text in arguments.target:
        name, port, command = text.split("=", 2)
        targets.append(Peer(name, shlex.split(command.replace("{workdir}", str(workdir))), int(port)))
    chosen = peers(arguments.scenario, workdir)
    if arguments.only is not None:
        chosen = [peer for peer in chosen if peer.name in arguments.only.split(",")]
    targets += chosen

    upstream = start(upstream_config(workdir, BODY), 1, workdir / "upstream.log")
    results: dict[str, list[dict[str, float]]] = {}
    failed: dict[str, str] = {}
    running: dict[str, subprocess.Popen] = {}
    try:
        wait_port(UPSTREAM_PORT, upstream)
        for _ in range(arguments.rounds):
            for target in targets:
                if target.name in failed:
                    continue
                try:
                    process = running.get(target.name)
                    if process is None:
                        process = running[target.name] = start(target.command, 0, workdir / f"{target.name}.log")
                        wait_port(target.port, process)
                        load(target.port, 2, arguments.connections, warm)
                    check_answer(target.port, token)
                    before, _rss = cpu_and_rss(process.pid)
                    busy, total = core_times(1)
                    run = load(target.port, arguments.seconds, arguments.connections, script)
                    run["core1"] = 100 * (core_times(1)[0] - busy) / (core_times(1)[1] - total)
                    after, run["rss"] = cpu_and_rss(process.pid)
                    if run["bad"]:
                        raise RuntimeError(f"{run['bad']:.0f} of {run['requests']:.0f} answers failed")
                    run["cpu"] = (after - before) / run["requests"] * 1e6
                    results.setdefault(target.name, []).append(run)
                except (RuntimeError, AttributeError) as error:
                    failed[target.name] = str(error)
                if cold or target.name in failed:
                    stop(running.pop(target.name))
    finally:
        for process in (*running.values(), upstream):
            stop(process)

    table = report(arguments, results, failed, [peer.name for peer in chosen])
    print(table)
    for name, why in failed.items():
        print(f"{name:<20}FAILED: {why} (log: {workdir / (name + '.log')})")
    if arguments.record:
        record(f"sidebyside-{arguments.scenario}.txt", table)
    sys.exit(1 if failed else 0)


def own_targets(scenario: str, workdir: Path) -> list[Peer]:
    """The gateway as users start it, on each of its servers."""
    sluicegate = Path(sys.executable).parent / "sluicegate"
    found = []
    for server, port in (("granian", 9201), ("uvicorn", 9202)):
        folder = configurations.write(scenario, workdir / server, port)
        command = [
            str(sluicegate),
            "serve",
            "--config",
            str(folder),
            "--server",
            server,
            "--state",
            str(workdir / f"{server}-state"),
        ]
        found.append(Peer(f"sluicegate-{server}", command, port))
    return found


def report(
    arguments: argparse.Namespace, results: dict[str, list[dict[str, float]]], failed: dict[str, str], chosen: list[str]
) -> str:
    wanted = REFERENCES.get(arguments.scenario, ("envoy",))
    references = [name for name in wanted if name in results] or [name for name in chosen if name in results][:1]
    median = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in results.items()
    }
    lines = [
        f"{arguments.scenario}: {arguments.connections} connections, {arguments.rounds} rounds of {arguments.seconds:g} s",
        f"{'target':<20}{'cpu_us':>8}{'spread':>8}{'rps':>9}{'p50':>8}{'p99':>8}{'rss_mb':>8}{'core1':>7}"
        + "".join(f"{'x_' + name:>10}{'least':>8}" for name in references),
    ]
    for name, row in sorted(median.items(), key=lambda item: item[1]["cpu"]):
        cpu = [run["cpu"] for run in results[name]]
        spread = (max(cpu) - min(cpu)) / row["cpu"]
        lines.append(
            f"{name:<20}{row['cpu']:>8.1f}{spread:>8.0%}{row['rps']:>9.0f}{row['p50']:>8.2f}{row['p99']:>8.2f}"
            f"{row['rss']:>8.0f}{row['core1']:>6.0f}%"
            + "".join(ratios(cpu, [run["cpu"] for run in results[reference]]) for reference in references)
        )
    return "\n".join(lines)


def ratios(cpu: list[float], reference: list[float]) -> str:
    paired = statistics.median(one / other for one, other in zip(cpu, reference, strict=False))
    return f"{paired:>10.2f}{min(cpu) / min(reference):>8.2f}"


if __name__ == "__main__":
    main()
