"""What the upstreams of a load test are known to answer, so that every answer can be held against it. Imports no server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from gateway.demo.mainframe import CUSTOMERS
from gateway.demo.stock import ITEMS

EVENT_EVERY_S = 1.0
FIRST_ORDER = {"id": "1001", "item": "sluice board", "quantity": 2, "state": "accepted"}
NO_ITEM, NO_CUSTOMER = "unicorn", "7"

Check = Callable[[Any], None]
"""Takes a parsed body; raises WrongAnswer."""


class WrongAnswer(Exception):
    """An answer came in time and with a good status, and says what it must not."""


def parsed(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except ValueError:
        raise WrongAnswer("the body is no JSON") from None


def product(number: int) -> dict[str, Any]:
    return {"product": number, "text": f"{number:08d}" * 120}


def same(expected: object, what: str) -> Check:
    """The body is exactly that. The message names no body: it may be another's."""

    def check(body: object) -> None:
        if body != expected:
            raise WrongAnswer(f"not the right {what}")

    return check


def order_of(item: str) -> Check:
    """A created order, for what was asked."""

    def check(body: object) -> None:
        if not isinstance(body, Mapping) or body.get("item") != item:
            raise WrongAnswer("an order for something else")

    return check


def stock_of(item: str) -> Check:
    on_hand, price, sites = ITEMS[item]
    expected = {"Item": item, "OnHand": on_hand, "UnitPrice": price}

    def check(body: object) -> None:
        if not isinstance(body, Mapping) or {**expected, "Site": list(sites)} != {"Site": [], **body}:
            raise WrongAnswer("not the right stock")

    return check


def customer_of(number: str) -> Check:
    name, cents, contracts = CUSTOMERS[number.zfill(8)]

    def check(body: object) -> None:
        if not isinstance(body, Mapping) or (
            (body.get("customer_id"), body.get("customer_name"), body.get("credit_limit"), body.get("contract_id", []))
            != (int(number), name, cents / 100, list(contracts))
        ):
            raise WrongAnswer("not the right customer")

    return check
