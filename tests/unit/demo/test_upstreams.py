"""The demo's upstreams by themselves: what they refuse, and what the printed calls do not show."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from gateway.demo import mainframe, stock
from gateway.demo.orders import MAX_ORDERS, DemoOrders


def call(app: Any, method: str, path: str, **arguments: Any) -> httpx.Response:
    async def go() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://demo") as client:
            return await client.request(method, path, **arguments)

    return asyncio.run(go())


@pytest.mark.parametrize(
    "body", [b"", b"[", b"[]", b'"x"', b"{}", b'{"item": 1}', b'{"item": "x", "quantity": 0}', b'{"item": "\xff"}']
)
def test_orders_refuse_what_is_no_order(body: bytes) -> None:
    orders = DemoOrders()
    assert call(orders.app, "POST", "/orders", content=body).status_code == 400
    assert len(call(orders.app, "GET", "/orders").json()["orders"]) == 3


def test_orders_do_not_grow_for_ever() -> None:
    orders = DemoOrders()

    async def fill() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(orders.app), base_url="http://demo") as client:
            for _ in range(MAX_ORDERS):
                assert (await client.post("/orders", json={"item": "x"})).status_code == 201
            return len((await client.get("/orders")).json()["orders"])

    assert asyncio.run(fill()) == MAX_ORDERS
    assert call(orders.app, "GET", "/orders/1001").status_code == 404


@pytest.mark.parametrize("body", [b"", b"<", b"<a/>"])
def test_stock_answers_with_a_fault(body: bytes) -> None:
    answer = call(stock.app, "POST", "/soap", content=body)
    assert answer.status_code == 500
    assert "<faultcode>soap:Client" in answer.text


def test_the_mainframe_packs_decimals() -> None:
    record = mainframe.reply("INQ100000043WEB ".encode("cp037"))
    assert record[34:39] == bytes.fromhex("000001250D")  # 12.50 with a minus
    assert len(record) == 41


@pytest.mark.parametrize("inquiry", [b"", b"\x00" * 16, "INQ2000000420000".encode("cp037")])
def test_the_mainframe_refuses_what_is_no_inquiry(inquiry: bytes) -> None:
    assert mainframe.reply(inquiry)[:2] == "12".encode("cp037")
