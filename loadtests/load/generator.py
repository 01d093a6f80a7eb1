"""What the users of one generating process share: the plan, the level, the arrivals, the tokens, the notes."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import httpx

from loadtests.load.arrivals import LOOK_S, Arrivals
from loadtests.load.known import WrongAnswer
from loadtests.load.plan import Caller, Plan, read_level
from loadtests.load.recorder import Recorder

TOKEN_AGE_S = 60.0  # a token from a token URL is used so long, or half its life


class Generator:
    def __init__(self, folder: Path, process: int) -> None:
        self.folder = folder
        self.process = process
        self.plan = Plan.read(folder)
        self.level = 0.0
        self.dice = random.Random(process)
        self.recorder = Recorder(folder / f"calls-{process}.jsonl")
        self.partners = [caller for caller in self.plan.callers if not caller.noisy]
        self.noisy = [caller for caller in self.plan.callers if caller.noisy]
        self._streams: list[Arrivals] = []
        self._numbers = itertools.count()
        self._tokens: dict[str, tuple[float, str]] = {}
        self._created = (folder / f"created-{process}.txt").open("a", encoding="utf-8")
        self._fresh = self._fresh_tokens()

    def start(self, *rates: Callable[[Generator], float]) -> None:
        """Follow the level, and let calls arrive at each of `rates`, which are for all processes together."""
        gevent.spawn(self._follow)
        for number, rate in enumerate(rates):
            share = self._share(rate)
            self._streams.append(Arrivals(share, random.Random(self.process * 100 + number)))
            gevent.spawn(self._streams[-1].run)

    def _share(self, rate: Callable[[Generator], float]) -> Callable[[], float]:
        return lambda: rate(self) / self.plan.processes

    def next_number(self) -> int:
        """Users of all processes have different numbers, each process every so-manieth."""
        return next(self._numbers) * self.plan.processes + self.process

    def stream_of(self, number: int) -> Arrivals:
        """Users are dealt out evenly over the streams of arrivals."""
        return self._streams[(number // self.plan.processes) % len(self._streams)]

    def token(self, caller: Caller) -> str:
        if not caller.token_url:
            return caller.token
        until, token = self._tokens.get(caller.name, (0.0, ""))
        if time.monotonic() >= until:
            token, age_s = fetch_token(caller)
            self._tokens[caller.name] = (time.monotonic() + min(TOKEN_AGE_S, age_s / 2), token)
        return token

    def fresh_token(self) -> str:
        """One that nobody has seen. Raises StopIteration when the file is used up."""
        return next(self._fresh)

    def created(self, item: str) -> None:
        """The gateway has said that this order was accepted; what the upstream executed is held against it."""
        self._created.write(f"{item}\n")

    def ready(self) -> None:
        (self.folder / f"ready-{self.process}").touch()

    def close(self) -> None:
        self.recorder.close()
        self._created.close()

    def _follow(self) -> None:
        while True:
            self.level = read_level(self.folder)
            self.recorder.flush_past(int(time.time()))
            self._created.flush()
            gevent.sleep(LOOK_S)

    def _fresh_tokens(self) -> Iterator[str]:
        if self.plan.fresh_tokens:
            with Path(self.plan.fresh_tokens).open(encoding="utf-8") as lines:
                yield from (line.strip() for line in itertools.islice(lines, self.process, None, self.plan.processes))
            return
        for caller in itertools.cycle([one for one in self.partners if one.token_url]):
            yield fetch_token(caller)[0]


def fetch_token(caller: Caller) -> tuple[str, float]:
    """A token by client credentials (RFC 6749 §4.4) and its life in seconds. Raises httpx.HTTPError or WrongAnswer."""
    answer = httpx.post(
        caller.token_url,
        data={"grant_type": "client_credentials"},
        auth=(caller.client_id, caller.client_secret),
        timeout=10.0,
    )
    answer.raise_for_status()
    body: Any = answer.json()
    if not isinstance(body, dict) or not isinstance(body.get("access_token"), str):
        raise WrongAnswer("the token endpoint answers without access_token")
    return body["access_token"], float(body.get("expires_in", TOKEN_AGE_S))


def from_environment() -> Generator:
    """The one that `scripts/load` asks for. Raises SystemExit when it did not."""
    try:
        return Generator(Path(os.environ["LOADTEST_FOLDER"]), int(os.environ["LOADTEST_PROCESS"]))
    except KeyError:
        raise SystemExit(
            "loadtests/locustfile.py is started by scripts/load, which says what to call and how often"
        ) from None
