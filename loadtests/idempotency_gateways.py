"""Gateways and a Redis of their own, to be killed and started again: for the proofs of idempotency keys. Judges nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LEASE_S, TOTAL_S = 4, 3
ROOT = Path(__file__).parent.parent
ROUTES = ("hold", "retry")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Redis:
    """A redis-server of our own, in a folder of its own."""

    folder: Path
    options: tuple[str, ...] = ("--appendonly", "yes", "--appendfsync", "always")
    program: str = "redis-server"
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True, parents=True)
        program = shutil.which(self.program)
        assert program is not None, "needs Debian's redis-server"
        place = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--logfile", "redis.log")
        command = [program, *place, "--save", "", "--maxmemory-policy", "noeviction", *self.options]
        self.process = subprocess.Popen(command)
        while "PONG" not in self.ask("PING"):
            time.sleep(0.02)

    def ask(self, *words: str) -> str:
        """The answer, "" when there is none."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
                connection.sendall(f"*{len(parts)}\r\n{''.join(parts)}".encode())
                return connection.recv(65536).decode("latin-1")
        except OSError:
            return ""

    def signal(self, number: int) -> None:
        assert self.process is not None, "started"
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Gateway:
    """A gateway on a port and a configuration of its own; those of one folder share their state.

    Forked from a process that has everything imported, so that it is back at once; with `whole` the real `sluicegate serve`,
    supervisor and worker, which takes seconds to come back.
    """

    def __init__(self, config: Path, port: int, *, whole: bool = False, beside: Gateway | None = None) -> None:
        """`beside`: one that has been started, and ends later; it forks this one as well."""
        self.config = config
        self._beside = beside
        self.port = port
        self.whole = whole
        self.log = config.with_suffix(".log")
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self.whole:
            self._process = self._run(
                "-c", "from gateway.cli import main; main()", "serve", "--config", str(self.config)
            )
            self.pid = self._process.pid
            return
        forks = self if self._beside is None else self._beside
        if forks._process is None:
            forks._process = forks._run(str(Path(__file__).with_name("idempotency_process.py")))
        pipes = forks._process
        assert pipes.stdin is not None, "a pipe"
        assert pipes.stdout is not None, "a pipe"
        pipes.stdin.write(f"{self.config}\n".encode())
        pipes.stdin.flush()
        self.pid = int(pipes.stdout.readline() or 0)
        if not self.pid:
            raise RuntimeError(forks.log.read_text()[-2000:])

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        pipe = None if self.whole else subprocess.PIPE
        with self.log.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, *command],
                stdin=pipe,
                stdout=out if self.whole else pipe,
                stderr=out,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    @property
    def alive(self) -> bool:
        return bool(self.pid) and Path(f"/proc/{self.pid}").exists()

    def signal(self, number: int) -> None:
        """To all its processes."""
        for pid in family(self.pid):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def kill(self) -> None:
        """As when the machine takes it: SIGKILL to all its processes."""
        self.signal(signal.SIGKILL)
        if self.whole and self._process is not None:
            self._process.wait()
        while self.alive:
            time.sleep(0.001)

    def end(self) -> None:
        self.kill()
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for each in found:
        try:
            children = Path(f"/proc/{each}/task/{each}/children").read_text()
        except OSError:
            continue
        found += [int(child) for child in children.split()]
    return found


def configured(
    folder: Path,
    number: int,
    upstream_port: int,
    store: str,
    *,
    whole: bool = False,
    beside: Gateway | None = None,
    lease_s: float = LEASE_S,
    total_s: float = TOTAL_S,
    **policy: Any,
) -> Gateway:
    port = free_port()
    base = {"scope": "route", "lease": f"{lease_s}s", "store": "records", **policy}
    routes = [
        {
            "name": name,
            "match": {"path": f"/{name}"},
            "public": True,
            "upstream": name,
            "policies": {"idempotency": {**base, "on_unknown": name}},
        }
        for name in ROUTES
    ]
    target = {"targets": [f"http://127.0.0.1:{upstream_port}"]}
    document = {
        "version": 1,
        "listen": {"host": "127.0.0.1", "port": port},
        "ops": {"port": free_port()},
        "state": str(folder / "state"),
        "stores": {"records": store},
        "log": {"access": "off", "level": "warning"},
        "drain": {"delay": "0s"},
        "upstreams": {"hold": target, "retry": {**target, "honours_idempotency_key": True}},
        "defaults": {"policies": {"timeout": {"total": f"{total_s}s"}, "request_size": {"max": "1MiB"}}},
        "routes": routes,
    }
    config = folder / f"config-{number}"
    config.mkdir(parents=True)
    (config / "gateway.yaml").write_text(json.dumps(document))
    return Gateway(config, port, whole=whole, beside=beside)
