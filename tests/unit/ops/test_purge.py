"""`DELETE /cache`: what operators may name, and what every worker is asked to forget."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.api.orders import Purge
from gateway.ops.purge import CachePurge
from gateway.runtime.ops_backend import OpsBackend


class Workers:
    """Two workers: the first forgot 2 and 1 answers, the second 1."""

    def __init__(self) -> None:
        self.orders: list[object] = []

    async def purge(self, request: object) -> list[object]:
        self.orders.append(request)
        return [[2, 1], [1, {b"key": 1.0}]]


def purge(workers: Workers, query: str) -> Any:
    async def go() -> httpx.Response:
        at = CachePurge(cast(OpsBackend, workers))
        application = Starlette(routes=[Route("/cache", at.delete, methods=["DELETE"])])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://ops") as client:
            return await client.delete("/cache" + query)

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("?tag=red", Purge(tag="red")),
        ("?prefix=https://api.example/a", Purge(prefix="https://api.example/a")),
        ("?prefix=HTTPS://API.example/A", Purge(prefix="https://api.example/A")),
        ("?prefix=http://api", Purge(prefix="http://api")),
        ("?url=https://API.example/a/../b%252F", Purge(url="https://api.example/b%2F")),
        ("?url=http://a:8080", Purge(url="http://a:8080/")),
        ("?url=http://a/b%3Fx=1%26y=2", Purge(url="http://a/b?x=1&y=2")),
    ],
)
def test_all_workers_forget(query: str, order: Purge) -> None:
    workers = Workers()
    answer = purge(workers, query)
    assert (answer.status_code, answer.json()) == (200, {"purged": 4, "workers": 2})
    assert workers.orders == [order]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?prefix=/orders",
        "?prefix=x",
        "?tag=",
        "?tag=a&url=http://a/",
        "?tag=a&tag=b",
        "?name=a",
        "?url=a",
        "?url=ftp://a/",
        "?url=http://a/%00",
        "?url=http://[a/",
        "?url=http://a/é",
    ],
)
def test_anything_else_is_refused(query: str) -> None:
    workers = Workers()
    answer = purge(workers, query)
    assert (answer.status_code, answer.json()["code"]) == (400, "ops.purge")
    assert workers.orders == []
