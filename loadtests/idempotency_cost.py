"""What a key costs: processor time of the gateway for each POST with one, over the same POST on a route without the policy."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from pathlib import Path
from statistics import median

from idempotency_gateways import Gateway, Redis, configured, free_port
from idempotency_world import answering
from processes import cpu_and_rss, process_tree

LUA = """
local n = 0
local thread_id = 0
function setup(thread) thread:set("id", thread_id); thread_id = thread_id + 1 end
function request()
  n = n + 1
  return wrk.format("POST", "%s", {["Idempotency-Key"] = "%s-" .. id .. "-" .. n}, "{\\"amount\\": 100, \\"to\\": \\"acme\\"}")
end
"""
ROUTES = ("plain", "hold")


def cost(
    connections: int, seconds: float, rounds: int, folder: Path, store: str
) -> dict[str, list[tuple[float, float]]]:
    """(µs of processor time a call, calls a second) of each round, by route."""
    redis = Redis(folder / "redis", options=()) if store == "redis" else None
    if redis is not None:
        redis.start()
        store = f"redis://127.0.0.1:{redis.port}/0"
    port = free_port()
    upstream = _upstream(folder, port)
    gateway = configured(folder, 0, port, store, whole=True)
    _add_plain(gateway.config / "gateway.yaml")
    gateway.start()
    found: dict[str, list[tuple[float, float]]] = {route: [] for route in ROUTES}
    try:
        asyncio.run(answering([gateway]))
        for pid in process_tree(gateway.pid):
            subprocess.run(["taskset", "-acp", "0", str(pid)], check=True, stdout=subprocess.DEVNULL)
        for number in range(rounds):
            for route in ROUTES:
                found[route].append(_round(gateway, folder, route, f"{time.time()}-{number}", connections, seconds))
    finally:
        gateway.end()
        upstream.terminate()
        upstream.wait()
        if redis is not None:
            redis.kill()
    return found


def _round(
    gateway: Gateway, folder: Path, route: str, prefix: str, connections: int, seconds: float
) -> tuple[float, float]:
    script = folder / f"{route}.lua"
    script.write_text(LUA % (f"/{route}", prefix))
    before = cpu_and_rss(gateway.pid)[0]
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script)]
    out = subprocess.run(
        [*command, f"http://127.0.0.1:{gateway.port}"], capture_output=True, text=True, check=True
    ).stdout
    if "Non-2xx" in out:
        raise RuntimeError(out)
    calls = int(_of(r"(\d+) requests in", out))
    return 1e6 * (cpu_and_rss(gateway.pid)[0] - before) / calls, float(_of(r"Requests/sec:\s+(\S+)", out))


def _of(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]


def _upstream(folder: Path, port: int) -> subprocess.Popen[bytes]:
    nginx = folder / "nginx.conf"
    nginx.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/body; "
        f"server {{ listen 127.0.0.1:{port}; location / {{ return 201 '{{\"id\": 7}}'; }} }} }}\n"
    )
    return subprocess.Popen(["taskset", "-c", "1", "nginx", "-c", str(nginx)])


def _add_plain(path: Path) -> None:
    """The same route without the policy."""
    document = json.loads(path.read_text())
    document["log"]["level"] = "error"
    document["routes"].append({"name": "plain", "match": {"path": "/plain"}, "public": True, "upstream": "hold"})
    path.write_text(json.dumps(document))


def table(figures: dict[str, list[tuple[float, float]]], store: str) -> str:
    lines = ["| POST | µs of CPU a call, least | median | calls/s |", "|---|---|---|---|"]
    names = {"plain": "without the policy", "hold": "with a new key"}
    costs = {route: [cost_us for cost_us, _ in rounds] for route, rounds in figures.items()}
    for route in ROUTES:
        rate = median(calls for _, calls in figures[route])
        lines.append(f"| {names[route]} | {min(costs[route]):.0f} | {median(costs[route]):.0f} | {rate:.0f} |")
    more, usually = (of(costs["hold"]) - of(costs["plain"]) for of in (min, median))
    rounds = len(figures["hold"])
    return "\n".join(
        [
            *lines,
            "",
            f"a key costs {more:.0f} µs more on {store} by the least of {rounds} rounds, {usually:.0f} by their medians",
        ]
    )
