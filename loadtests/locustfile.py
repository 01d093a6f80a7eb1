"""What each generating locust runs: the scenario that the plan names, and notes of every call. Started by `scripts/load`."""

from __future__ import annotations

from typing import Any

from locust import events
from locust.env import Environment

from loadtests.load.generator import from_environment
from loadtests.load.known import WrongAnswer
from loadtests.scenarios import SCENARIOS

GENERATOR = from_environment()
Chosen = SCENARIOS[GENERATOR.plan.scenario].load()


@events.init.add_listener
def share(environment: Environment, **_: Any) -> None:
    environment.generator = GENERATOR  # type: ignore[attr-defined]  # for the users, who know their environment
    environment.catch_exceptions = True


@events.test_start.add_listener
def start(**_: Any) -> None:
    GENERATOR.start(*Chosen.rates())


@events.spawning_complete.add_listener
def ready(**_: Any) -> None:
    GENERATOR.ready()


@events.request.add_listener
def note(name: str, response_time: float, exception: Exception | None, response: Any = None, **_: Any) -> None:
    code = str(response.status_code) if response is not None and response.status_code else "none"
    wrong = str(exception) if isinstance(exception, WrongAnswer) else None
    failed = (str(exception) or type(exception).__name__) if exception is not None and wrong is None else None
    GENERATOR.recorder.note(name, response_time, code, failed, wrong)


@events.user_error.add_listener
def fault(exception: Exception, **_: Any) -> None:
    """A fault of the load test itself must not look like silence."""
    GENERATOR.recorder.note(
        "fault of the load test", 0.0, "none", failed=f"{type(exception).__name__}: {exception}"[:200]
    )


@events.quit.add_listener
def close(**_: Any) -> None:
    GENERATOR.close()
