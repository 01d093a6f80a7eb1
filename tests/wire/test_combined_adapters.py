"""Adapters behind policies that store, repeat and count, on both servers: the answers of old systems, once and again."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.testing.upstream import Peer, Script
from tests.wire.conftest import Perform
from tests.wire.plays import Answer, Stage, holds
from tests.wire.test_combinations import IDEMPOTENT, KEY, call, post, seen
from tests.wire.test_messages import COPYBOOK, LLZZ, bulk, framed, record
from tests.wire.test_resilience import value

WSDL = Path(__file__).parents[2] / "config" / "wsdl" / "inventory.wsdl"
ENVELOPE = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>{}</e:Body></e:Envelope>'
ITEM = (
    '<i:GetItemResponse xmlns:i="urn:example:inventory"><i:Item>{}</i:Item><i:OnHand>3</i:OnHand></i:GetItemResponse>'
)
RESERVED = (
    '<i:ReserveItemResponse xmlns:i="urn:example:inventory"><i:Reservation>R-1</i:Reservation></i:ReserveItemResponse>'
)
FAULT = "<e:Fault><faultcode>e:{}</faultcode><faultstring>secret words</faultstring></e:Fault>"
RESERVE = b'{"Item": "valve", "Quantity": 2}'


def soap(body: str, status: str = "200 OK", *fields: str) -> bytes:
    text = ENVELOPE.format(body).encode()
    lines = [f"HTTP/1.1 {status}", "Content-Type: text/xml; charset=utf-8", f"Content-Length: {len(text)}", *fields]
    return "\r\n".join((*lines, "", "")).encode() + text


def fault(code: str) -> bytes:
    return soap(FAULT.format(code), "500 Internal Server Error")


def in_turn(*answers: bytes | None, receive: Callable[[Peer], Awaitable[object]] = Peer.request) -> Script:
    """Each call the next of these, the last for ever; None ends the connection instead."""
    left = list(answers)

    async def script(peer: Peer) -> None:
        while True:
            await receive(peer)
            answer = left.pop(0) if len(left) > 1 else left[0]
            if answer is None:
                peer.reset()
                return
            await peer.send(answer)

    return script


@pytest.fixture
def operation(play: Perform, tmp_path: Path) -> Perform:
    """`operation(scene, script, name, policy={...})`: one SOAP operation with these policies."""

    def performed(
        scene: Any,
        script: Script,
        name: str = "GetItem",
        *,
        upstream: Any = None,
        more: Any = None,
        **policies: Any,
    ) -> None:
        reads = name == "GetItem"
        adapter = {"wsdl": str(WSDL), "operation": name, "safe": reads, "faults": {"Client.NotFound": 404}}
        match = {"method": "GET", "path": "/items/{item}"} if reads else {"method": "POST", "path": "/reservations"}
        if reads:
            adapter["request"] = {"Item": "{path.item}"}
        route = {
            "name": "soap",
            "match": match,
            "public": True,
            "upstream": "orders",
            "adapter": {"soap": {**adapter, **(more or {})}},
            "policies": policies,
        }
        play(scene, script, routes=[route], upstream=upstream or {}, state=str(tmp_path / "state"))

    return performed


def hit(answer: Answer) -> bool:
    return b"hit" in answer.get(b"cache-status")[0]


def test_a_soap_operation_is_answered_from_the_cache(operation: Perform) -> None:
    async def scene(stage: Stage) -> None:
        first, second = [await stage.ask(call(path="/items/valve")) for _ in range(2)]
        assert json.loads(first.body) == json.loads(second.body) == {"Item": "valve", "OnHand": 3}
        assert (hit(first), hit(second)) == (False, True)
        await stage.ask(call(path="/items/pump"))
        assert seen(stage) == 2
        assert b"pump" in stage.upstream.requests[1]
        part = await stage.ask(call("GET", "Range: bytes=0-0", path="/items/valve"))
        assert (part.status, part.body) == (206, b"{")

    operation(scene, in_turn(soap(ITEM.format("valve"))), cache={"default_ttl": "1m"})


def test_a_fault_is_each_callers_own(operation: Perform) -> None:
    async def scene(stage: Stage) -> None:
        first, second = [await stage.ask(call(path="/items/none")) for _ in range(2)]
        assert (first.status, second.status) == (404, 404)
        assert first.problem["fault"] == second.problem["fault"] == {"code": "Client.NotFound"}
        assert first.problem["request_id"] != second.problem["request_id"]
        assert b"secret" not in first.body
        assert seen(stage) == 2

    operation(scene, in_turn(fault("Client.NotFound")), cache={"default_ttl": "1m"}, retry={}, breaker={"failures": 1})


def test_a_servers_fault_is_bridged_by_a_stale_answer_and_tried_again_first(operation: Perform) -> None:
    async def scene(stage: Stage) -> None:
        assert not hit(await stage.ask(call(path="/items/valve")))
        stale = await stage.ask(call("GET", "Cache-Control: max-age=0", path="/items/valve"))
        assert (stale.status, json.loads(stale.body)["OnHand"]) == (200, 3)
        assert b"stale-if-error" in stale.get(b"cache-status")[0]
        assert seen(stage) == 3  # with one retry

    operation(
        scene,
        in_turn(soap(ITEM.format("valve")), fault("Server")),
        cache={"stale_if_error": "1h", "default_ttl": "1m"},
        retry={"attempts": 2, "backoff": "1ms"},
    )


@pytest.mark.parametrize(
    ("answer", "status", "again"),
    [
        pytest.param(soap(RESERVED), 200, 200, id="an answer"),
        pytest.param(fault("Client.NotFound"), 404, 404, id="a fault of the caller"),
        pytest.param(fault("Server"), 502, 409, id="a fault of the server"),
        pytest.param(soap("<x/>"), 502, 409, id="no answer of the operation"),
        pytest.param(None, 502, 409, id="a broken connection"),
    ],
)
def test_a_key_in_front_of_a_soap_operation(operation: Perform, answer: bytes | None, status: int, again: int) -> None:
    async def scene(stage: Stage) -> None:
        raw = post(KEY, "Content-Type: application/json", body=RESERVE, path="/reservations")
        first, second = [await stage.ask(raw) for _ in range(2)]
        assert (first.status, second.status) == (status, again)
        if status == again:
            assert first.body == second.body
            assert second.get(b"idempotency-replayed") == [b"true"]
        else:
            assert second.problem["code"] == "idempotency.outcome-unknown"
        assert seen(stage) == 1

    operation(scene, in_turn(answer), "ReserveItem", idempotency=IDEMPOTENT, retry={"backoff": "1ms"}, breaker={})


def test_a_request_that_does_not_fit_leaves_its_key_free(operation: Perform) -> None:
    async def scene(stage: Stage) -> None:
        kind = "Content-Type: application/json"
        wrong = await stage.ask(post(KEY, kind, body=b'{"Item": "valve", "Quantity": 0}', path="/reservations"))
        assert (wrong.status, wrong.problem["code"]) == (422, "request.unmappable")
        right = await stage.ask(post(KEY, kind, body=RESERVE, path="/reservations"))
        assert (right.status, right.get(b"idempotency-replayed")) == (200, [])
        assert seen(stage) == 1

    operation(scene, in_turn(soap(RESERVED)), "ReserveItem", idempotency=IDEMPOTENT)


def test_a_soap_client_is_refused_a_second_place_in_its_own_words(play: Perform, tmp_path: Path) -> None:
    """The other direction: limits, keys and caches of a JSON upstream behind envelopes."""

    async def scene(stage: Stage) -> None:
        envelope = ENVELOPE.format('<i:GetItem xmlns:i="urn:example:inventory"><i:Item>valve</i:Item></i:GetItem>')
        raw = post("Content-Type: text/xml", 'SOAPAction: "urn:example:inventory#GetItem"', body=envelope.encode())
        first, second = [await stage.ask(raw) for _ in range(2)]
        assert first.status == 200, first
        assert b"<" in first.body
        assert b"OnHand>3<" in first.body
        assert second.status == 429
        assert b"Fault" in second.body
        assert b"rate_limit.exceeded" in second.body
        assert second.get(b"retry-after")

    answer = (
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n{"Item":"valve","OnHand":3} '
    )
    route = {
        "name": "soap",
        "match": {"path": "/orders"},
        "public": True,
        "upstream": "orders",
        "adapter": {
            "soap": {
                "wsdl": str(WSDL),
                "listen": {"operations": {"GetItem": {"method": "GET", "path": "/items/{body./Item}"}}},
            }
        },
        "policies": {
            "rate_limit": {"per": "ip", "rate": "1/h"},
            "retry": {},
            "breaker": {},
            "compress": {},
            "cache": {},
        },
    }
    play(scene, in_turn(answer), routes=[route])


# -- records


def records(path: Path, *, method: str = "POST", safe: bool = False, **policies: Any) -> list[dict[str, Any]]:
    (path / "message.cpy").write_text(COPYBOOK)
    side = {"copybook": str(path / "message.cpy"), "codepage": "cp037"}
    return [
        {
            "name": "records",
            "match": {"method": method, "path": "/orders"},
            "public": True,
            "upstream": "orders",
            "adapter": {
                "fixed_width": {
                    "request": {**side, "missing": "initial"},
                    "response": {**side, "errors": {"CODE-OF-RETURN": {"4": 404, "12": 502}}},
                    "safe": safe,
                }
            },
            "policies": policies,
        }
    ]


async def message(peer: Peer) -> None:
    peer._upstream.requests.append(await peer.read())


GOOD, ABSENT, FAILED = (framed(record(code, 7, "x")) for code in (0, 4, 12))
BODY = b'{"ticket": 7, "remark": "x"}'
MESSAGE = post("Content-Type: application/json", body=BODY)


def test_records_that_change_nothing_are_sent_again_and_others_never(play: Perform, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.ask(MESSAGE)
        assert (answer.status, seen(stage)) == ((200, 3) if safe else (502, 1))
        if safe:
            assert value(stage, "upstream_retries_total", "orders", "reset") == 1
            assert value(stage, "upstream_retries_total", "orders", "502") == 1

    no_sign = framed(record(0, 7, "x", b"\x00\x01\x25\x02"))
    for safe in (True, False):
        play(
            scene,
            in_turn(None, no_sign, GOOD, receive=message),
            scheme="tcp",
            upstream={"framing": LLZZ},
            routes=records(tmp_path, safe=safe, retry={"backoff": "1ms"}, breaker={}, bulkhead={"max": 1}),
        )


def test_a_return_code_that_is_the_upstreams_fault_opens_the_breaker(play: Perform, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        statuses = [(await stage.ask(MESSAGE)).status for _ in range(4)]
        assert statuses == [404, 502, 502, 503]
        assert seen(stage) == 3

    play(
        scene,
        in_turn(ABSENT, FAILED, receive=message),
        scheme="tcp",
        upstream={"framing": LLZZ},
        routes=records(tmp_path, breaker={"failures": 2}),
    )


def test_a_key_in_front_of_records(play: Perform, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        raw = post(KEY, "Content-Type: application/json", body=BODY)
        first, second = [await stage.ask(raw) for _ in range(2)]
        assert (first.status, second.get(b"idempotency-replayed")) == (200, [b"true"])
        assert first.body == second.body
        raw = post("Idempotency-Key: k-2", "Content-Type: application/json", body=BODY)
        assert (await stage.ask(raw)).status == 502
        assert (await stage.ask(raw)).problem["code"] == "idempotency.outcome-unknown"
        raw = post("Idempotency-Key: k-3", "Content-Type: application/json", body=b'{"ticket": "no number"}')
        assert [(await stage.ask(raw)).status for _ in range(2)] == [422, 422]
        assert seen(stage) == 2

    play(
        scene,
        in_turn(GOOD, None, receive=message),
        scheme="tcp",
        upstream={"framing": LLZZ},
        routes=records(tmp_path, idempotency=IDEMPOTENT, retry={"backoff": "1ms"}),
        state=str(tmp_path / "state"),
    )


@pytest.mark.parametrize("kind", ["soap", "records", "lines"])
def test_an_adapter_waits_for_an_answers_body_until_the_deadline(play: Perform, tmp_path: Path, kind: str) -> None:
    """`timeout.total` holds to the last byte where an adapter buffers; `timeout.idle` of the upstream is 30 s here."""

    async def begins_only(peer: Peer) -> None:
        await peer.request()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: 500\r\n\r\n"
        await peer.send(head, b"<" if kind == "soap" else b"0")
        await peer.gone()

    async def scene(stage: Stage) -> None:
        answer = await stage.ask(call("GET", path="/items/valve"))
        assert (answer.status, answer.problem["code"], answer.problem["stage"]) == (504, "upstream.timeout", "body")
        again = await stage.ask(call("GET", path="/items/valve"))
        assert again.problem["code"] == "breaker.open"
        await stage.quiet()
        await holds(lambda: stage.figures()["open"] == 0)

    adapters: dict[str, dict[str, Any]] = {
        "soap": {"soap": {"wsdl": str(WSDL), "operation": "GetItem", "request": {"Item": "{path.item}"}}},
        "records": records(tmp_path)[0]["adapter"],
        "lines": bulk(tmp_path, None)["routes"][0]["adapter"],
    }
    if kind == "records":
        adapters["records"]["fixed_width"]["request"]["values"] = {"TICKET": 1}
    route = {
        "name": kind,
        "match": {"path": "/items/{item}"},
        "public": True,
        "upstream": "orders",
        "adapter": adapters[kind],
        "policies": {"timeout": {"total": "300ms"}, "breaker": {"failures": 1}},
    }
    play(scene, begins_only, routes=[route])
