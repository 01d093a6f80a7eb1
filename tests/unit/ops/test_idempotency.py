"""Operators and the record of a key: on the ops port and on the command line, over one file."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from gateway.cli import idempotency
from gateway.compile import compile_configuration
from gateway.compile.plan import Plan
from gateway.ops import records
from gateway.ops.application import ops_application
from policies.idempotency.operations import Claim, Lose
from tests.unit.ops.test_ops import Backend

CONFIGURATION = """
version: 1
state: STATE
upstreams: {orders: {targets: ["http://orders:80"]}}
routes:
  - name: create
    match: {path: /orders}
    public: true
    upstream: orders
    policies: {idempotency: {scope: "header:X-Tenant"}}
  - {name: forgetful, match: {path: /f}, public: true, upstream: orders, policies: {idempotency: {scope: route, store: memory}}}
  - {name: plain, match: {path: /p}, public: true, upstream: orders}
"""
WHY = {"who": "ann", "reason": "ledger"}


class Desk(Backend):
    compiled: Plan

    def plan(self) -> Plan:
        return self.compiled


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "gateway.yaml").write_text(CONFIGURATION.replace("STATE", str(tmp_path / "state")))
    plan = compile_configuration(folder).plan
    assert plan is not None
    made = Desk()
    made.compiled = plan

    async def lose(key: str, *, under_way: bool = False) -> None:
        place = records.place_of(plan, "create", key, None, "t1")
        async with records._store(place) as store:
            assert await store.run(Claim(place.key, "o", "f", "method,body", 120, 1000)) is None
            if not under_way:
                assert await store.run(Lose(place.key, "o"))

    asyncio.run(lose("a/b"))
    asyncio.run(lose("running", under_way=True))
    return made


def call(desk: Desk, method: str, path: str, order: Any = None) -> httpx.Response:
    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(ops_application(desk), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9090") as client:
            return await client.request(method, path, content=None if order is None else json.dumps(order))

    return asyncio.run(go())


AT = "/idempotency/create/a/b?caller=t1"


def test_an_unknown_outcome_is_settled_shown_and_freed(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    shown = call(desk, "GET", AT).json()
    assert (shown["state"], shown["fingerprint_of"], "answer" in shown) == ("unknown", ["method", "body"], False)
    order = {"action": "settle", "status": 201, "body": '{"id":7}', **WHY}
    assert call(desk, "POST", AT, order).json() == {"done": "settle"}
    answer = call(desk, "GET", AT).json()["answer"]
    assert (answer["status"], answer["body"], answer["settled_by"]) == (201, '{"id":7}', "ann: ledger")
    assert answer["headers"] == [["content-type", "application/json"]]
    again = call(desk, "POST", AT, order)
    assert (again.status_code, again.json()["detail"]) == (
        404,
        "Nothing changed: the key is final and was not settled: only an unknown outcome can be; see what GET says of this key.",
    )
    assert call(desk, "POST", AT, {"action": "release", **WHY}).status_code == 200
    assert call(desk, "GET", AT).status_code == 404
    assert [message.rpartition("by ")[2] for message in caplog.messages if "idempotency key" in message] == [
        "ann: ledger",
        "ann: ledger",
    ]


@pytest.mark.parametrize(
    ("method", "path", "order", "status"),
    [
        ("GET", "/idempotency/create/none?caller=t1", None, 404),
        ("GET", "/idempotency/create/a/b?caller=t2", None, 404),
        ("GET", "/idempotency/nowhere/k", None, 404),
        ("GET", "/idempotency/plain/k", None, 404),
        ("GET", "/idempotency/forgetful/k", None, 404),
        ("POST", "/idempotency/create/running?caller=t1", {"action": "release", **WHY}, 404),
        ("POST", "/idempotency/create/none?caller=t1", {"action": "release", **WHY}, 404),
        ("POST", AT, {"action": "settle", **WHY}, 422),
        ("POST", AT, {"action": "release"}, 422),
        ("POST", AT, {"action": "release", "who": "", "reason": "x"}, 422),
        ("POST", AT, {"action": "settle", "status": 99, **WHY}, 422),
        ("POST", AT, [], 422),
    ],
)
def test_orders_that_change_nothing(desk: Desk, method: str, path: str, order: Any, status: int) -> None:
    answer = call(desk, method, path, order)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert call(desk, "GET", AT).json()["state"] == "unknown"


def test_what_is_not_there_is_named(desk: Desk) -> None:
    named = call(desk, "GET", "/idempotency/create/none?caller=t2").json()["detail"]
    assert (
        named == "Nothing to show: there is no record of this key of t2 on route 'create'; check the route and the key."
    )
    forgotten = call(desk, "GET", "/idempotency/create/a/b").json()["detail"]
    assert forgotten.endswith(", and tell whose key is meant with ?consumer=NAME.")


def test_a_store_that_is_away_is_said(desk: Desk, tmp_path: Path) -> None:
    for file in (tmp_path / "state").iterdir():
        file.unlink()
    (tmp_path / "state").rmdir()
    (tmp_path / "state").write_text("")
    assert call(desk, "GET", AT).status_code == 503


def run(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    options = ("--config", str(tmp_path / "config"), "--route", "create", "--caller", "t1")
    result = CliRunner().invoke(idempotency.app, [*arguments, *options])
    return result.exit_code, result.output


def test_the_command_line_does_the_same(desk: Desk, tmp_path: Path) -> None:
    assert json.loads(run(tmp_path, "show", "a/b")[1])["state"] == "unknown"
    assert run(tmp_path, "settle", "a/b", "--status", "200", "--body", "{}", "--reason", "ledger")[0] == 0
    assert json.loads(run(tmp_path, "show", "a/b")[1])["answer"]["status"] == 200
    assert run(tmp_path, "release", "a/b", "--reason", "wrong")[0] == 0
    status, text = run(tmp_path, "show", "a/b")
    assert (status, text) == (1, "there is no record of this key of t1 on route 'create'\n")
    assert run(tmp_path, "release", "running", "--reason", "x")[0] == 1
