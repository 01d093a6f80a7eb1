"""What the ops port takes for an order about credentials, and what it answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from gateway.api.consumers import Consumer
from gateway.api.orders import Revoke
from gateway.api.settings.document import Settings
from gateway.api.settings.issuer import IssuerConfig
from gateway.compile.plan import ConsumerPlan, Plan
from gateway.ops.application import ops_application
from tests.unit.ops.test_ops import Backend

KEY, OLD = b"k" * 32, b"o" * 32


@dataclass
class Orders(Backend):
    answers: list[object] = field(default_factory=list)
    orders: list[object] = field(default_factory=list)
    records: bool = True

    def plan(self) -> Plan:
        acme = ConsumerPlan(Consumer("acme"), (), ((KEY, "k1", None), (OLD, "k0", 1_800_000_000.0)), ())
        issuers = {"partners": IssuerConfig(issuer="https://idp.example", audience=("orders",))}
        return Plan("v1", Settings(version=1, ops=self.ops), {}, {}, issuers, {"acme": acme}, ())

    async def remember(self, order: Revoke) -> bool:
        self.orders.append(order)
        return self.records

    async def purge(self, request: object) -> list[object]:
        self.orders.append(request)
        return self.answers


def call(backend: Orders, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, Any]]:
    async def go() -> tuple[int, dict[str, Any]]:
        transport = httpx.ASGITransport(ops_application(backend))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9090") as client:
            answer = await client.request(method, path, content=body)
            return answer.status_code, answer.json()

    return asyncio.run(go())


def test_a_revocation_is_an_order_to_all_workers() -> None:
    backend = Orders(answers=[[2], [1], []])
    status, said = call(
        backend, "POST", "/tokens/revoke", b'{"issuer": "partners", "subject": "eve", "lifetime": "2h"}'
    )
    assert (status, said["workers"], said["forgotten"], said["recorded"]) == (200, 3, 3, True)
    order, told = backend.orders
    assert order == told, "first remembered for those that start later, then told"
    assert isinstance(order, Revoke)
    assert (order.issuer, order.jti, order.subject) == ("partners", None, "eve")
    assert order.until - order.at == 7200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no",
        b"[]",
        b"{}",
        b'{"issuer": "partners"}',
        b'{"issuer": "partners", "jti": 1}',
        b'{"issuer": "partners", "jti": ""}',
        b'{"issuer": "partners", "jti": "a", "subject": "b"}',
        b'{"issuer": "partners", "jti": "a", "token": "b"}',
        b'{"issuer": "partners", "jti": "a", "lifetime": "1"}',
        b'{"issuer": "partners", "jti": "a", "lifetime": "31d"}',
        b'{"issuer": "partners", "jti": "' + b"x" * 20_000 + b'"}',
    ],
)
def test_an_order_that_cannot_be_read_is_refused(body: bytes) -> None:
    backend = Orders(answers=[[0]])
    status, said = call(backend, "POST", "/tokens/revoke", body)
    assert (status, said["code"]) == (422, "ops.bad-order")
    assert backend.orders == []


def test_an_issuer_that_nobody_trusts_is_said() -> None:
    status, said = call(Orders(), "POST", "/tokens/revoke", b'{"issuer": "nobody", "jti": "a"}')
    assert (status, said["code"]) == (404, "ops.unknown-issuer")


def test_a_revocation_that_a_restart_forgets_says_so() -> None:
    backend = Orders(answers=[[]], records=False)
    status, said = call(backend, "POST", "/tokens/revoke", b'{"issuer": "partners", "jti": "a"}')
    assert (status, said["workers"], said["forgotten"], said["recorded"]) == (200, 1, 0, False)


def test_the_newest_use_of_all_workers_is_shown() -> None:
    backend = Orders(answers=[[{KEY: 10.0}], [{KEY: 20.0, b"gone": 5.0}], []])
    status, said = call(backend, "GET", "/keys?consumer=acme")
    assert status == 200
    assert said["keys"] == [
        {"consumer": "acme", "id": "k1", "expires": None, "last_used": "1970-01-01T00:00:20Z"},
        {"consumer": "acme", "id": "k0", "expires": "2027-01-15T08:00:00Z", "last_used": None},
    ]
    assert call(backend, "GET", "/keys")[1] == said
    assert call(backend, "GET", "/keys?consumer=nobody")[1]["code"] == "ops.unknown-consumer"
