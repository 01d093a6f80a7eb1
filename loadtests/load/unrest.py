"""What a gateway goes through in half an hour of its life, while a soak lasts: its configuration changes, its upstreams are restarted."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import httpx

from loadtests.load.objectives import Verdict
from loadtests.load.stage import Stage, StageError

RELOAD_EVERY_S, RESTART_EVERY_S = 10.0, 30.0


@dataclass
class Unrest:
    """A thread of its own, from `start` to `stop`. What fails is kept, and goes on."""

    stage: Stage
    ops_token: str
    seconds: float
    """Of the run: a short one has some of both, too."""
    reloads: int = 0
    restarts: int = 0
    failures: list[str] = field(default_factory=list)

    def start(self) -> None:
        self._ended = threading.Event()
        reload_s, restart_s = min(RELOAD_EVERY_S, self.seconds / 6), min(RESTART_EVERY_S, self.seconds / 3)
        self._threads = [threading.Thread(target=self._again, args=(reload_s, self._reload), daemon=True)]
        if self.stage.restart_upstream is not None:  # takes seconds, and the reloads go on meanwhile
            self._threads.append(threading.Thread(target=self._again, args=(restart_s, self._restart), daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def verdicts(self) -> list[Verdict]:
        said = f"{self.reloads} reloads, {self.restarts} restarts of an upstream"
        if self.failures:
            said += f"; {len(self.failures)} failed, the first: {self.failures[0]}"
        return [
            Verdict("configurations and upstreams change while it runs", not self.failures and self.reloads > 0, said)
        ]

    def _again(self, every_s: float, do) -> None:  # type: ignore[no-untyped-def]  # do: () -> None
        due = time.monotonic() + every_s
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            do()
            due += every_s

    def _reload(self) -> None:
        if self.stage.edit is not None:
            self.stage.edit()
        headers = {"Authorization": f"Bearer {self.ops_token}"} if self.ops_token else {}
        try:
            answer = httpx.post(f"{self.stage.ops}/reload", headers=headers, timeout=30.0)
        except httpx.HTTPError as problem:
            self.failures.append(f"reload: {type(problem).__name__}")
            return
        self.reloads += 1
        if answer.status_code != 200:
            self.failures.append(f"reload: {answer.status_code}")

    def _restart(self) -> None:
        assert self.stage.restart_upstream is not None, "no thread restarts what cannot be restarted"
        try:
            self.stage.restart_upstream()
        except StageError as problem:
            self.failures.append(str(problem))
        self.restarts += 1
