"""Idempotency keys under load: executed twice or not when processes are killed, and what a key costs.

    python loadtests/idempotency.py kill [--rounds 200] [--sync full]
    python loadtests/idempotency.py cost [--connections 64] [--seconds 5] [--rounds 3] [--sync full]

`kill`: callers POST with a new key each, and again with the same one until they are answered; at a random moment of every round
supervisor and worker get SIGKILL, and are started again. Afterwards every key is asked for once more. It ends with 1 when a key was executed
twice, or was answered in two ways. `cost`: processor time of the gateway for each POST with a key, and without the policy. Needs wrk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from machine import commit, machine
from processes import cpu_and_rss, process_tree

PORT, UPSTREAM_PORT, OPS_PORT = 18_771, 18_773, 18_774
LEASE_S = 4
LUA = """
local n = 0
local thread_id = 0
function setup(thread) thread:set("id", thread_id); thread_id = thread_id + 1 end
function request()
  n = n + 1
  return wrk.format("POST", "%s", {["Idempotency-Key"] = "%s-" .. id .. "-" .. n}, "{\\"amount\\": 100, \\"to\\": \\"acme\\"}")
end
"""


def configuration(folder: Path, sync: str) -> Path:
    policy = {"scope": "route", "lease": f"{LEASE_S}s", "store": f"sqlite?sync={sync}"}
    routes = [
        {"name": name, "match": {"path": f"/{name}"}, "public": True, "upstream": "orders", "policies": policies}
        for name, policies in (("keyed", {"idempotency": policy}), ("plain", {}))
    ]
    document = {
        "version": 1,
        "listen": {"host": "127.0.0.1", "port": PORT},
        "ops": {"port": OPS_PORT},
        "state": str(folder / "state"),
        "log": {"access": "off", "level": "error"},
        "upstreams": {"orders": {"targets": [f"http://127.0.0.1:{UPSTREAM_PORT}"]}},
        "defaults": {"policies": {"timeout": {"total": "3s"}, "request_size": {"max": "1MiB"}}},
        "routes": routes,
    }
    (folder / "config").mkdir()
    (folder / "config" / "gateway.yaml").write_text(json.dumps(document))
    return folder / "config"


def serve(config: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [str(Path(sys.executable).parent / "sluicegate"), "serve", "--config", str(config)]
    with log.open("ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, cwd=Path(__file__).parent.parent)


class Upstream:
    """Counts what it executes for each key, and answers with the count."""

    def __init__(self) -> None:
        self.executed: Counter[str] = Counter()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                await reader.readexactly(int(re.search(r"content-length: (\d+)", head)[1]))
                key = re.search(r"idempotency-key: (\S+)", head)[1]
                self.executed[key] += 1
                await asyncio.sleep(random.random() * 0.02)
                body = f"{key} executed {self.executed[key]}".encode()
                writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):  # cancelled at the end
            writer.close()


async def post(key: str) -> tuple[int, bytes] | None:
    """One call on a connection of its own; None when it broke."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        writer.write(
            f"POST /keyed HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\nIdempotency-Key: {key}\r\n\r\n{{}}".encode()
        )
        raw = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        head, _, body = raw.partition(b"\r\n\r\n")
        return int(head.split()[1]), body
    except (OSError, IndexError, TimeoutError):
        return None


async def answered() -> None:
    while await post("ready") is None:
        await asyncio.sleep(0.05)


async def kill(rounds: int, folder: Path, sync: str) -> int:
    upstream = Upstream()
    server = await asyncio.start_server(upstream, "127.0.0.1", UPSTREAM_PORT)
    config = configuration(folder, sync)
    gateway = serve(config, folder / "serve.log")
    await answered()
    first: dict[str, bytes] = {}
    asked: list[str] = []
    differing = 0
    ending = False

    async def caller(number: int) -> None:
        nonlocal differing
        count = 0
        while not ending:
            count += 1
            key = f"k-{number}-{count}"
            asked.append(key)
            for _ in range(3):
                answer = await post(key)
                if answer is None:
                    await asyncio.sleep(0.02)
                elif answer[0] == 201:
                    differing += first.setdefault(key, answer[1]) != answer[1]
                    break

    callers = [asyncio.ensure_future(caller(number)) for number in range(8)]
    for _ in range(rounds):
        await asyncio.sleep(random.random() * 0.5)
        for pid in process_tree(gateway.pid):
            os.kill(pid, signal.SIGKILL)
        gateway.wait()
        gateway = serve(config, folder / "serve.log")
        await answered()
    ending = True
    await asyncio.gather(*callers)
    await asyncio.sleep(LEASE_S + 0.5)  # whoever died while sending is known to be dead
    ends: Counter[str] = Counter()
    for key in asked:
        answer = await post(key)
        if answer is None:
            ends["no answer"] += 1
        elif answer[0] == 201:
            differing += first.setdefault(key, answer[1]) != answer[1]
            ends["its answer"] += 1
        else:
            ends[json.loads(answer[1])["code"]] += 1
    gateway.terminate()
    gateway.wait()
    server.close()
    twice = sum(count > 1 for key, count in upstream.executed.items() if key != "ready")
    print(f"rounds {rounds}, keys {len(asked)}, sync={sync}")
    print(
        f"executed twice {twice}, answered in two ways {differing}, " + ", ".join(f"{k}: {n}" for k, n in ends.items())
    )
    return 1 if twice or differing or ends["no answer"] else 0


def cost(connections: int, seconds: float, rounds: int, folder: Path, sync: str) -> int:
    config = configuration(folder, sync)
    nginx = folder / "nginx.conf"
    nginx.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/body; "
        f"server {{ listen 127.0.0.1:{UPSTREAM_PORT}; location / {{ return 201 '{{\"id\": 7}}'; }} }} }}\n"
    )
    upstream = subprocess.Popen(["taskset", "-c", "1", "nginx", "-c", str(nginx)])
    gateway = serve(config, folder / "serve.log")
    asyncio.run(answered())
    for pid in process_tree(gateway.pid):
        subprocess.run(["taskset", "-acp", "0", str(pid)], check=True, stdout=subprocess.DEVNULL)
    found: dict[str, list[float]] = {"plain": [], "keyed": []}
    try:
        for number in range(rounds):
            for route, costs in found.items():
                script = folder / f"{route}.lua"
                script.write_text(LUA % (f"/{route}", f"{time.time()}-{number}"))
                before = cpu_and_rss(gateway.pid)[0]
                out = subprocess.run(
                    ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script), f"http://127.0.0.1:{PORT}"],
                    capture_output=True, text=True, check=True,
                ).stdout  # fmt: skip
                if "Non-2xx" in out:
                    raise RuntimeError(out)
                requests = int(re.search(r"(\d+) requests in", out)[1])
                costs.append(1e6 * (cpu_and_rss(gateway.pid)[0] - before) / requests)
                rate = re.search(r"Requests/sec:\s+(\S+)", out)[1]
                print(f"{route}: {costs[-1]:.0f} µs of CPU a call, {rate} calls/s")
    finally:
        gateway.terminate()
        gateway.wait()
        upstream.terminate()
    more = sorted(found["keyed"])[rounds // 2] - sorted(found["plain"])[rounds // 2]
    print(f"a key costs {more:.0f} µs more (medians of {rounds}, {connections} connections, sync={sync})")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kill", "cost"])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--sync", choices=["full", "normal"], default="full")
    options = parser.parse_args()
    print(machine(), "commit " + commit(), sep="\n")
    with tempfile.TemporaryDirectory(prefix="idempotency-") as folder:
        if options.what == "kill":
            return asyncio.run(kill(options.rounds or 200, Path(folder), options.sync))
        return cost(options.connections, options.seconds, options.rounds or 3, Path(folder), options.sync)


if __name__ == "__main__":
    sys.exit(main())
