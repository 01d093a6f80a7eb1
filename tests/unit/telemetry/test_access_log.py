"""One JSON line a request, in order, never a secret; and a log that cannot be written never stops a request."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import orjson
import pytest

from gateway.telemetry import access_log
from gateway.telemetry.access_log import AccessLog
from gateway.testing.exchange import make_exchange, make_principal


def lines(path: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def write(path: Path, count: int = 1, *, query: bool = False, complete: bool = True) -> None:
    async def go() -> None:
        log = AccessLog(str(path), query=query)
        for number in range(count):
            exchange = make_exchange("POST", f"/orders/{number}?token=hidden", [("authorization", "Bearer secret")])
            exchange.principal = make_principal("acme", claims={"sub": "secret"})
            exchange.upstream = "orders-api"
            exchange.note("rate_limit.exceeded")
            exchange.bytes_out, exchange.upstream_s = 17, 0.01
            log.write(exchange, 200, 0.0123456, complete=complete)
        log.close()

    asyncio.run(go())


def test_a_line_has_what_ops_ask_for_and_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    write(path)
    (line,) = lines(path)
    assert line.pop("time")
    assert line == {
        "request_id": "request-1",
        "trace_id": "",
        "route": "orders",
        "consumer": "acme",
        "client": "192.0.2.1",
        "method": "POST",
        "path": "/orders/0",
        "status": 200,
        "bytes": 17,
        "ms": 12.345,
        "upstream": "orders-api",
        "upstream_ms": 10.0,
        "codes": ["rate_limit.exceeded"],
    }
    text = path.read_text()
    assert "hidden" not in text
    assert "secret" not in text


@pytest.mark.parametrize(
    "text", ['"},{"', "back\\slash", "Ünïcode 漢", "\x00\x1f\n\r\t\x7f\u2028", "\ud800", "\U0001f600"]
)
def test_whatever_is_in_a_field_a_line_is_one_json_object(text: str, tmp_path: Path) -> None:
    async def go() -> None:
        log = AccessLog(str(tmp_path / "log"), query=True)
        exchange = make_exchange()
        exchange.principal = make_principal(text)
        request = exchange.request
        request.method = request.path = request.client = exchange.route = exchange.upstream = text
        request.query = text.encode("utf-8", "surrogatepass")
        log.write(exchange, 499, 61.0000049, complete=True)
        log.close()

    asyncio.run(go())
    (written,) = (tmp_path / "log").read_bytes().decode("utf-8").split("\n")[:-1]
    line = json.loads(written)
    assert [line[name] for name in ("route", "consumer", "client", "method", "path", "upstream")] == [text] * 6
    assert line["query"].encode("latin-1") == text.encode("utf-8", "surrogatepass")
    assert (line["status"], line["ms"], line["upstream_ms"], line["codes"]) == (499, 61000.004, 0, [])


def test_the_query_is_there_when_allowed(tmp_path: Path) -> None:
    write(tmp_path / "log", query=True)
    assert lines(tmp_path / "log")[0]["query"] == "token=hidden"


def test_a_broken_answer_is_marked(tmp_path: Path) -> None:
    write(tmp_path / "log", complete=False)
    assert lines(tmp_path / "log")[0]["complete"] is False


def test_many_lines_stay_whole_and_in_order(tmp_path: Path) -> None:
    write(tmp_path / "log", 2000)  # several batches
    assert [line["path"] for line in lines(tmp_path / "log")] == [f"/orders/{number}" for number in range(2000)]


def test_lines_stay_whole_on_a_shared_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(pipe, 100)
        whole = os.read(reader, 1 << 20)
    finally:
        os.close(reader)
    assert len([orjson.loads(line) for line in whole.splitlines()]) == 100


def test_reopen_follows_a_rotated_file(tmp_path: Path) -> None:
    path = tmp_path / "log"

    async def go() -> None:
        log = AccessLog(str(path), query=False)
        log.write(make_exchange("GET", "/before"), 200, 0.1, complete=True)
        log.flush()
        log.reopen()
        log.close()

    asyncio.run(go())
    path.rename(tmp_path / "log.1")
    write(path)
    assert [line["path"] for line in lines(tmp_path / "log.1")] == ["/before"]
    assert [line["path"] for line in lines(path)] == ["/orders/0"]


def test_a_slow_reader_costs_lines_and_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "BACKLOG_BYTES", 1)

    async def go() -> int:
        log = AccessLog(str(tmp_path / "log"), query=False)
        log.write(make_exchange(), 200, 0.1, complete=True)
        log.close()
        return log.dropped

    assert asyncio.run(go()) == 1


def test_a_target_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"`log.access` cannot be written: .*missing"):
        AccessLog(str(tmp_path / "missing" / "log"), query=False)
