"""Partners as they are: they read their orders, ask who they are, and create orders with idempotency keys that they send again."""

from __future__ import annotations

import secrets
import time
from collections import deque
from typing import Any

from loadtests.load.known import FIRST_ORDER, WrongAnswer, order_of, same
from loadtests.load.plan import Caller
from loadtests.scenarios.base import TRIES, Scenario, may_be_tried_again

READS, PROFILES = 0.60, 0.15  # the rest creates orders
REPLAYED = 0.2  # of the created orders
REMEMBERED = 50


class Partner(Scenario):
    def on_start(self) -> None:
        super().on_start()
        self.mine: dict[str, deque[tuple[str, str]]] = {}

    def arrive(self, due: float) -> None:
        dice = self.generator.dice
        caller = dice.choice(self.generator.partners)
        chosen = dice.random()
        if chosen < READS:
            self.read(caller, due)
        elif chosen < READS + PROFILES:
            self.call(
                "profile", "GET", "/profile", caller, due, check=same({"caller": caller.name}, "caller's profile")
            )
        else:
            self.create(caller, due)

    def read(self, caller: Caller, due: float) -> None:
        mine = self.mine.get(caller.name)
        if not mine:
            self.call("read order", "GET", "/orders/1001", caller, due, check=same(FIRST_ORDER, "order"))
            return
        path, item = self.generator.dice.choice(mine)
        self.call("read order", "GET", path, caller, due, check=order_of(item))

    def create(self, caller: Caller, due: float) -> None:
        """The same key with every try: the order is executed once, however often it is sent."""
        key = secrets.token_urlsafe(12)
        item = f"{caller.name}/{key}"
        order = {"item": item, "quantity": 1}
        fields = {"Idempotency-Key": f'"{key}"'}
        for tried in range(TRIES):
            last = tried == TRIES - 1
            answer = self.call(
                "create order", "POST", "/orders", caller, due,
                body=order, fields=fields, statuses=(201,), check=order_of(item), again=not last,
            )  # fmt: skip
            if last or not may_be_tried_again(answer.status_code):
                break
            self.wait_to_try_again(answer, tried)
        if answer.status_code != 201:
            return
        self.generator.created(item)
        self.mine.setdefault(caller.name, deque(maxlen=REMEMBERED)).append((answer.headers["location"], item))
        if self.generator.dice.random() < REPLAYED:
            self.replay(caller, order, fields, answer.text)

    def replay(self, caller: Caller, order: object, fields: dict[str, str], first: str | None) -> None:
        """Nobody waits for this call to be due: it follows the first, and must give the very same answer."""

        def identical(answer: Any) -> str:
            if answer.text != first or answer.headers.get("idempotency-replayed") != "true":
                raise WrongAnswer("a replay that is not the first answer")
            return "replay order"

        self.call(
            "replay order", "POST", "/orders", caller, time.perf_counter(),
            body=order, fields=fields, statuses=(201,), named=identical,
        )  # fmt: skip
