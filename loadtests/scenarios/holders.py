"""Users that hold a stream of server-sent events, or a WebSocket, as long as the level says that so many shall be held."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import gevent
import websocket

from loadtests.load.generator import Generator
from loadtests.load.known import EVENT_EVERY_S, WrongAnswer
from loadtests.load.plan import Caller
from loadtests.scenarios.base import Failed, Scenario

OPEN_S = 10.0
SILENT_S = 5 * EVENT_EVERY_S  # a holder that hears nothing for so long has lost its stream
LOOK_S = 0.1


class Holder(Scenario):
    """Holds one connection while its own number is below the level."""

    abstract = True

    @classmethod
    def rates(cls) -> tuple[Callable[[Generator], float], ...]:
        return ()

    def on_start(self) -> None:
        self.generator = self.environment.generator  # type: ignore[attr-defined]  # locustfile.py puts it there
        self.number = self.generator.next_number()
        self.caller = self.generator.partners[self.number % len(self.generator.partners)]

    @property
    def wanted(self) -> bool:
        return self.number < self.generator.level

    def take(self) -> None:
        if not self.wanted:
            gevent.sleep(LOOK_S)
            return
        try:
            self.hold(self.caller)
        except Failed as problem:
            self.heard("stream", 0.0, problem)
            gevent.sleep(1.0)  # before it comes again
        except WrongAnswer as problem:
            self.heard("stream", 0.0, problem)
        except (OSError, http.client.HTTPException, websocket.WebSocketException) as problem:
            self.heard("stream", 0.0, Failed(type(problem).__name__))
            gevent.sleep(1.0)

    def hold(self, caller: Caller) -> None:
        raise NotImplementedError

    def heard(self, name: str, latency_s: float, problem: Exception | None = None, status: int = 0) -> None:
        self.generator.recorder.note(
            name, 1000 * latency_s, str(status or "none"),
            failed=str(problem) if isinstance(problem, Failed) else None,
            wrong=str(problem) if isinstance(problem, WrongAnswer) else None,
        )  # fmt: skip


class Events(Holder):
    """`event`: how much later than a second after the last one."""

    def hold(self, caller: Caller) -> None:
        at = urlsplit(self.host or "")
        kind = http.client.HTTPSConnection if at.scheme == "https" else http.client.HTTPConnection
        connection = kind(at.hostname or "", at.port, timeout=OPEN_S)
        try:
            began = time.perf_counter()
            connection.request("GET", "/events", headers={"Authorization": f"Bearer {self.generator.token(caller)}"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise Failed(str(answer.status))
            self.heard("open", time.perf_counter() - began, status=200)
            if connection.sock is not None:
                connection.sock.settimeout(SILENT_S)
            self.listen(answer, caller)
        finally:
            connection.close()

    def listen(self, answer: http.client.HTTPResponse, caller: Caller) -> None:
        expected, last = 0, 0.0
        while self.wanted:
            line = answer.readline()
            if not line:
                raise Failed("the stream ended")
            if not line.startswith(b"data: "):
                continue
            now = time.perf_counter()
            if json.loads(line[6:]) != {"n": expected, "caller": caller.name}:
                raise WrongAnswer("an event out of turn, or another caller's")
            if expected:
                self.heard("event", max(0.0, now - last - EVENT_EVERY_S), status=200)
            expected, last = expected + 1, now


class Sockets(Holder):
    """`message`: from saying something to hearing it again, once a second."""

    def hold(self, caller: Caller) -> None:
        address = "ws" + (self.host or "").removeprefix("http").rstrip("/") + "/socket"
        began = time.perf_counter()
        held: Any = None
        try:
            held = websocket.create_connection(
                address, timeout=OPEN_S, header=[f"Authorization: Bearer {self.generator.token(caller)}"]
            )
        except websocket.WebSocketBadStatusException as problem:
            raise Failed(str(problem.status_code)) from None
        try:
            self.heard("open", time.perf_counter() - began, status=101)
            held.settimeout(SILENT_S)
            said = 0
            while self.wanted:
                now = time.perf_counter()
                held.send(str(said))
                if held.recv() != f"{caller.name}: {said}":
                    raise WrongAnswer("another message than was said, or another caller's")
                self.heard("message", time.perf_counter() - now, status=101)
                said += 1
                gevent.sleep(EVENT_EVERY_S)
        finally:
            held.close(timeout=1)
