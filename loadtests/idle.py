"""What connections cost that do nothing: memory for each of 10,000, and the latency of 64 others with and without them.

    python loadtests/idle.py [--connections 10000] [--rate 1000] [--seconds 3] [--rounds 3] [--only NAMES] [--record]      3 minutes

Each idle connection has had one answer and is kept alive. Memory is what the resident size of the target's whole process tree grew by from just before they
came, when it had already served others. Latency is that of `hey` on 64 paced connections, the median of the rounds. Targets run alone, pinned to core 0; load and
upstream share core 1. --record writes loadtests/results/idle.txt. Needs Debian's `hey` beside nginx and wrk.
"""

from __future__ import annotations

import argparse
import resource
import socket
import statistics
import sys
import tempfile
from pathlib import Path

from machine import commit, machine
from paced import paced
from peers import UPSTREAM_PORT, Peer, peers, upstream_config
from processes import cpu_and_rss
from sidebyside import BODY, check_answer, load, own_targets, start, stop, wait_port

ACTIVE = 64
AT_ONCE = 100  # that are being opened
ROOM = 500  # descriptors for all else
REQUEST = b"GET /orders/1 HTTP/1.1\r\nHost: bench\r\n\r\n"


def raise_limit(connections: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + ROOM
    if hard != resource.RLIM_INFINITY and hard < needed:
        sys.exit(f"idle.py: {connections} connections need {needed} open files, and {hard} are allowed (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))  # inherited by the targets


def open_idle(port: int, connections: int) -> list[socket.socket]:
    """Each has had its answer. Raises RuntimeError when one gets another."""
    held: list[socket.socket] = []
    while len(held) < connections:
        fresh = [
            socket.create_connection(("127.0.0.1", port), 10) for _ in range(min(AT_ONCE, connections - len(held)))
        ]
        held += fresh
        for one in fresh:
            one.sendall(REQUEST)
        for one in fresh:
            answer = b""
            while not answer.endswith(BODY.encode()):
                piece = one.recv(65536)
                if not piece:
                    raise RuntimeError(f"connection {len(held)} was answered {answer[:80]!r}")
                answer += piece
    return held


def figures(target: Peer, workdir: Path, options: argparse.Namespace) -> dict[str, float]:
    process = start(target.command, 0, workdir / f"{target.name}.log")

    def p99() -> float:
        runs = [paced(target.port, options.rate, ACTIVE, options.seconds)["p99"] for _ in range(options.rounds)]
        return statistics.median(runs)

    try:
        wait_port(target.port, process)
        check_answer(target.port, None)  # waits for the workers
        load(target.port, 2, ACTIVE, None)
        without = p99()
        before = cpu_and_rss(process.pid)[1]
        held = open_idle(target.port, options.connections)
        after = cpu_and_rss(process.pid)[1]
        with_them = p99()
        for one in held:
            one.setblocking(False)
            try:
                if not one.recv(1):
                    raise RuntimeError("an idle connection was closed")
            except BlockingIOError:
                pass
            one.close()
        return {
            "rss": before,
            "each": 1024 * (after - before) / options.connections,
            "without": without,
            "with": with_them,
        }
    finally:
        stop(process)


def idle_targets(workdir: Path, connections: int) -> list[Peer]:
    """The gateway on each server, with bounds that let them come and stay."""
    found = own_targets("passthrough", workdir)
    for server in ("granian", "uvicorn"):
        file = workdir / server / "sluicegate-passthrough" / "gateway.yaml"
        bounds = f"max_connections: {connections + ROOM}, keep_alive: 600s"
        file.write_text(file.read_text().replace("listen: {", f"listen: {{{bounds}, ", 1))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="comma-separated targets (default: all but HAProxy)")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    raise_limit(options.connections)
    workdir = Path(tempfile.mkdtemp(prefix="idle-"))
    others = [peer for peer in peers("passthrough", workdir) if peer.name in ("nginx", "envoy")]
    targets = [*idle_targets(workdir, options.connections), *others]
    wanted = options.only.split(",") if options.only else [target.name for target in targets]
    lines = [
        f"{options.connections} idle connections; {ACTIVE} active ones at {options.rate:g} a second together",
        f"{'target':<20}{'MiB before':>12}{'KiB each':>10}{'p99 without':>13}{'p99 with':>10}{'change':>8}",
    ]
    upstream = start(upstream_config(workdir, BODY), 1, workdir / "upstream.log")
    try:
        wait_port(UPSTREAM_PORT, upstream)
        for target in targets:
            if target.name in wanted:
                seen = figures(target, workdir, options)
                lines.append(
                    f"{target.name:<20}{seen['rss']:>12.1f}{seen['each']:>10.2f}{seen['without']:>13.2f}{seen['with']:>10.2f}"
                    f"{seen['with'] / seen['without'] - 1:>+8.0%}"
                )
                print(lines[-1], flush=True)
    finally:
        stop(upstream)
    table = "\n".join(lines)
    print(f"\n{table}")
    if options.record:
        (Path(__file__).parent / "results" / "idle.txt").write_text(f"{machine()}\ncommit {commit()}\n\n{table}\n")


if __name__ == "__main__":
    main()
