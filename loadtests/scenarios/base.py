"""A locust user that calls when it is due, measures from then, and holds every answer against what is known."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import gevent
from locust import FastHttpUser, task

from loadtests.load.generator import Generator
from loadtests.load.known import Check, WrongAnswer, parsed
from loadtests.load.plan import Caller

PATIENCE_S = 10.0  # a call that has waited so long for a connection is not made: its caller has given up
TRIES = 3


class Failed(Exception):
    """A call without an answer, or with a status that it should not have. Its text is what the report counts it under."""


class Scenario(FastHttpUser):
    """One of many alike: takes the next call that is due, makes it, takes the next. Subclasses say in `arrive` what a call is."""

    abstract = True
    network_timeout = 30.0
    connection_timeout = 5.0
    insecure = False

    @classmethod
    def rates(cls) -> tuple[Callable[[Generator], float], ...]:
        """Calls a second of each stream of arrivals, of all processes together; users are dealt out over the streams."""
        return (lambda generator: generator.level,)

    def on_start(self) -> None:
        self.generator: Generator = self.environment.generator  # type: ignore[attr-defined]  # locustfile.py puts it there
        self.number = self.generator.next_number()
        self.stream = self.generator.stream_of(self.number)

    @task
    def go_on(self) -> None:
        """locust collects tasks by function: what subclasses replace is `take`."""
        self.take()

    def take(self) -> None:
        due = self.stream.due.get()
        if time.perf_counter() - due > PATIENCE_S:
            self.generator.recorder.note(
                "not made",
                1000 * (time.perf_counter() - due),
                "none",
                failed=f"no connection was free for {PATIENCE_S:.0f} s",
            )
            return
        self.arrive(due)

    def arrive(self, due: float) -> None:
        raise NotImplementedError

    def call(
        self,
        name: str,
        method: str,
        path: str,
        caller: Caller | None,
        due: float,
        *,
        body: object = None,
        fields: Mapping[str, str] | None = None,
        statuses: Collection[int] = (200,),
        check: Check | None = None,
        named: Callable[[Any], str] | None = None,
        again: bool = False,
    ) -> Any:
        """One call. Gives the answer; its status is 0 when none came. `again`: it will be tried again where that is right.

        `check` sees the parsed body of an answer whose status is below 400; `named` gives a name by the answer.
        """
        headers = dict(fields or {})
        if caller is not None:
            headers["Authorization"] = f"Bearer {self.generator.token(caller)}"
        with self.client.request(
            method, path, name=name, headers=headers, json=body, catch_response=True, allow_redirects=False
        ) as answer:
            answer.request_meta["response_time"] = 1000 * (time.perf_counter() - due)
            try:
                if answer.status_code not in statuses:
                    if again and may_be_tried_again(answer.status_code):
                        answer.request_meta["name"] = f"{name}, tried again"
                        answer.success()
                        return answer
                    raise Failed(why(answer))
                if check is not None and answer.status_code < 400:
                    check(parsed(answer.text))
                if named is not None:
                    answer.request_meta["name"] = named(answer)
                answer.success()
            except (Failed, WrongAnswer) as problem:
                answer.failure(problem)
        return answer

    def wait_to_try_again(self, answer: Any, tried: int) -> None:
        """As long as the gateway asks for, else 0.2 s, 0.4 s and so on."""
        told = (answer.headers or {}).get("retry-after", "")
        gevent.sleep(min(PATIENCE_S, float(told)) if told.isdigit() else 0.2 * 2**tried)


def may_be_tried_again(status: int) -> bool:
    return status in (0, 429, 502, 503, 504)


def why(answer: Any) -> str:
    """The code of a problem, else the status, else how the connection failed. Few different texts: they become rows."""
    if not answer.status_code:
        return type(answer.error).__name__ if answer.error else "no answer"
    try:
        return f"{answer.status_code} {json.loads(answer.text or '')['code']}"
    except (ValueError, KeyError, TypeError):
        return str(answer.status_code)
