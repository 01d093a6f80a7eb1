"""What 10,000 routes and 10,000 consumers cost, against ten of each. Routes are secured: token, scope, limit, header.

    python loadtests/growth_figures.py [--rounds 3] [--seconds 4] [--record]

Printed are processor time per request with ten and with ten thousand (the same number of distinct tokens, in turn), the time of a
cold compilation, of one after an edit of a route file and of gateway.yaml, and p99 at an even pace (even.py) with and without an edit being
swapped in. The gateway is pinned to core 0 with its supervisor, load and upstream to core 1. --record writes
loadtests/results/growth.txt. Needs Debian's nginx and wrk.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from growth import write_config
from machine import record
from peers import UPSTREAM_PORT, upstream_config
from processes import cpu_and_rss
from sidebyside import BODY, load, start, stop, wait_port
from tokens import Issuer, wrk_script

from gateway.compile import Compiler

CALLS = 500  # distinct (route, consumer) pairs
PORTS = {10: 9221, 10_000: 9222}


def prepare(workdir: Path, size: int) -> tuple[list[str], Path, str]:
    """The serve command, the wrk script and one token for /service-0/resource-0/1."""
    folder = workdir / f"growth-{size}"
    folder.mkdir()
    issuer = Issuer(folder)
    write_config(
        folder / "config", size, size, port=PORTS[size], ops_port=PORTS[size] + 1000,
        target=f"http://127.0.0.1:{UPSTREAM_PORT}", jwks=str(folder / "jwks.json"),
    )  # fmt: skip
    with (folder / "config" / "gateway.yaml").open("a") as file:
        file.write(f"log: {{access: {folder}/access.log}}\n")
    chosen = random.Random(size)
    calls = [(chosen.randrange(size), chosen.randrange(size)) for _ in range(CALLS)]
    requests = [
        (f"/service-{route % 50}/resource-{route}/1", issuer.token(f"client-{consumer}", f"resource-{route}:read"))
        for route, consumer in calls
    ]
    sluicegate = str(Path(sys.executable).parent / "sluicegate")
    command = [
        sluicegate,
        "serve",
        "--config",
        str(folder / "config"),
        "--server",
        "granian",
        "--state",
        str(folder / "state"),
    ]
    return command, wrk_script(folder, requests), issuer.token("client-0", "resource-0:read")


def wait_ready(port: int, process: subprocess.Popen) -> None:
    """The listener is bound, and callers queue, while ten thousand routes are still being compiled."""
    wait_port(port, process, 60)
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port + 1000}/readyz", timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("not ready after two minutes")


def cpu_per_request(command: list[str], size: int, script: Path, seconds: float, log: Path) -> float:
    process = start(command, 0, log)
    try:
        wait_ready(PORTS[size], process)
        load(PORTS[size], 2, 64, script)
        before, _ = cpu_and_rss(process.pid)
        run = load(PORTS[size], seconds, 64, script)
        if run["bad"]:
            raise RuntimeError(f"{run['bad']:.0f} of {run['requests']:.0f} answers failed: see {log}")
        return (cpu_and_rss(process.pid)[0] - before) / run["requests"] * 1e6
    finally:
        stop(process)


def edit(path: Path, number: int) -> None:
    """Another value in one place of a file, so that it has to be compiled anew."""
    text = path.read_text()
    path.write_text(re.sub(r"(X-Route: \"route-)(\d+)[^\"]*", rf"\g<1>\g<2>-{number}", text, count=1)
                    if "X-Route" in text else text + f"# {number}\n")  # fmt: skip


def compilation(folder: Path) -> list[str]:
    compiler = Compiler(folder)
    lines = []
    for name, change in (
        ("cold", None),
        ("a route file edited", folder / "routes" / "part-0050.yaml"),
        ("gateway.yaml edited", folder / "gateway.yaml"),
    ):
        if change is not None and change.name == "gateway.yaml":
            change.write_text(change.read_text().replace("max: 1MiB", "max: 2MiB"))
        elif change is not None:
            edit(change, 1)
        started, cpu = time.monotonic(), time.process_time()
        compiled = compiler.compile()
        assert compiled.plan is not None, compiled.errors
        lines.append(f"compile, {name:<22}{time.monotonic() - started:>6.2f} s, CPU {time.process_time() - cpu:.2f} s")
    return lines


def paced_p99(port: int, token: str, rate: float, seconds: float, edits: list[Path]) -> float:
    """p99 in milliseconds, with `edits` swapped in one after another meanwhile."""

    def swap() -> None:
        for number, path in enumerate(edits):
            time.sleep(seconds / (len(edits) + 1))
            edit(path, number + 10)
            urllib.request.urlopen(
                urllib.request.Request(f"http://127.0.0.1:{port + 1000}/reload", method="POST")
            ).read()

    swapping = threading.Thread(target=swap)
    swapping.start()
    out = subprocess.run(
        ["taskset", "-c", "1", sys.executable, str(Path(__file__).with_name("even.py")), str(port), "/service-0/resource-0/1",
         str(rate), str(seconds), "--header", f"Authorization: Bearer {token}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    swapping.join()
    found = json.loads(out)
    if list(found["statuses"]) != ["200"]:
        raise RuntimeError(f"answers failed: {found['statuses']}")
    return float(found["p99"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    workdir = Path(tempfile.mkdtemp(prefix="growth-"))
    upstream = start(upstream_config(workdir, BODY), 1, workdir / "upstream.log")
    lines: list[str] = []
    try:
        wait_port(UPSTREAM_PORT, upstream)
        made = {size: prepare(workdir, size) for size in PORTS}
        figures: dict[int, list[float]] = {size: [] for size in PORTS}
        for _ in range(arguments.rounds):
            for size, (command, script, _) in made.items():
                log = workdir / f"{size}.log"
                figures[size].append(cpu_per_request(command, size, script, arguments.seconds, log))
        small, large = (statistics.median(figures[size]) for size in PORTS)
        lines += [
            f"CPU per request with {size:>6} routes and consumers: {statistics.median(figures[size]):6.1f} us"
            for size in PORTS
        ]
        lines.append(f"ratio {large / small:.3f}")
        folder = workdir / "growth-10000" / "config"
        lines += compilation(folder)
        command, _, token = made[10_000]
        process = start(command, 0, workdir / "swap.log")
        try:
            wait_ready(PORTS[10_000], process)
            rate = 0.3e6 / large  # 30 % of what the worker can do
            parts = [folder / "routes" / f"part-{number:04d}.yaml" for number in (10, 20, 30)]
            for name, edits in (("at rest", []), ("three edits swapped in", parts)):
                p99 = statistics.median(
                    paced_p99(PORTS[10_000], token, rate, 8, edits) for _ in range(arguments.rounds)
                )
                lines.append(f"p99 at {rate:.0f}/s, {name:<24}{p99:6.2f} ms")
        finally:
            stop(process)
    finally:
        stop(upstream)
    table = "\n".join(lines)
    print(table)
    if arguments.record:
        record("growth.txt", table)


if __name__ == "__main__":
    main()
