"""A small orders API for the demo: what a partner's calls reach behind the gateway. Believes whoever calls it."""

from __future__ import annotations

import itertools
from json import JSONDecodeError
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

FIRST_NUMBER = 1001
MAX_ORDERS = 1000  # a demo may run for weeks
FIRST = (("sluice board", 2), ("penstock", 1), ("trash rack", 12))


class DemoOrders:
    """Orders in memory, three from the start."""

    def __init__(self) -> None:
        self._orders: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(FIRST_NUMBER)
        self.begin()
        self.app = Starlette(
            routes=[
                Route("/orders", self._list),
                Route("/orders", self._create, methods=["POST"]),
                Route("/orders/{id}", self._get),
            ]
        )

    def begin(self) -> None:
        for item, quantity in FIRST:
            self.add(item, quantity)

    def add(self, item: str, quantity: int) -> dict[str, Any]:
        number = str(next(self._numbers))
        order = self._orders[number] = {"id": number, "item": item, "quantity": quantity, "state": "accepted"}
        if len(self._orders) > MAX_ORDERS:
            del self._orders[next(iter(self._orders))]
        return order

    def find(self, number: str) -> dict[str, Any] | None:
        return self._orders.get(number)

    def listed(self) -> list[dict[str, Any]]:
        return list(self._orders.values())

    async def _list(self, request: Request) -> JSONResponse:
        return JSONResponse({"orders": self.listed()})

    async def _get(self, request: Request) -> JSONResponse:
        order = self.find(request.path_params["id"])
        return JSONResponse({"error": "no such order"}, 404) if order is None else JSONResponse(order)

    async def _create(self, request: Request) -> JSONResponse:
        try:
            wanted = await request.json()
            item, quantity = wanted["item"], wanted.get("quantity", 1)
        except (JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
            item, quantity = None, 0
        if not isinstance(item, str) or not isinstance(quantity, int) or not 0 < quantity <= 10_000:
            return JSONResponse({"error": 'an order is {"item": TEXT, "quantity": 1 to 10000}'}, 400)
        order = self.add(item[:200], quantity)
        return JSONResponse(order, 201, {"location": f"/orders/{order['id']}"})
