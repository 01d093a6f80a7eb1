"""Calls to a server that shares no code with us: spyne, validating what it gets by its own schema.

It runs in an interpreter that has spyne: this one, or the one that SLUICEGATE_SPYNE_PYTHON names.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .calls import answered, built, exchange_of, json_of, problem_of, sent

PYTHON = os.environ.get("SLUICEGATE_SPYNE_PYTHON", sys.executable)
Call = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module", params=["1.1", "1.2"])
def call(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Call]:
    if subprocess.run([PYTHON, "-c", "import spyne"], check=False, capture_output=True).returncode:
        pytest.skip("spyne is not installed here: calls to an independent SOAP server are not tested")
    folder = tmp_path_factory.mktemp("spyne")
    script = Path(__file__).parent / "spyne_server.py"
    with subprocess.Popen(
        [PYTHON, str(script), request.param], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    ) as server:
        assert server.stdout is not None
        base = f"http://127.0.0.1:{int(server.stdout.readline())}"
        with httpx.Client(base_url=base, timeout=10.0) as http:
            (folder / "shop.wsdl").write_bytes(http.get("/?wsdl").content)

            def call(operation: str, body: object, **config: Any) -> tuple[int, Any]:
                codec = built(folder, wsdl="shop.wsdl", operation=operation, **config)
                exchange = exchange_of()
                encoded = sent(codec, body, exchange)
                fields = {name.decode(): value.decode() for name, value in encoded.headers}
                assert encoded.target is not None
                reply = http.post(
                    encoded.target.decode(),
                    content=encoded.body,
                    headers={"content-type": encoded.content_type.decode(), **fields},
                )
                response = answered(codec, reply.content, reply.status_code, reply.headers["content-type"], exchange)
                return response.status, json_of(response) if response.status == 200 else problem_of(response)

            yield call
        server.terminate()


@pytest.mark.parametrize("text", ["plain", "<&>\"' \t\r\n", "Žluťoučký 漢字 \U0001f600", "]]>", " "])
def test_text_comes_back_as_it_was(call: Call, text: str) -> None:
    assert call("Echo", {"text": text}) == (200, {"EchoResult": text})


def test_headers_go_and_come(call: Call) -> None:
    status, value = call("Echo", {"$headers": {"Ticket": {"Id": "T-1"}}, "text": "x"})
    assert (status, value["$headers"]) == (200, {"Ticket": {"Id": "T-1"}})


def test_arrays_and_decimals(call: Call) -> None:
    lines = [{"Price": "0.10", "Sku": "A", "Quantity": 3}, {"Sku": "B", "Quantity": 1, "Price": "123456789.123456789"}]
    assert call("Total", {"lines": {"Line": lines}}) == (200, {"TotalResult": "123456789.423456789"})
    status, value = call("Lines", {"count": 3})
    assert status == 200
    assert [line["Sku"] for line in value["LinesResult"]["Line"]] == ["S0 <&>", "S1 <&>", "S2 <&>"]
    assert call("Lines", {"count": 0})[1]["LinesResult"] == {"Line": []}


def test_faults(call: Call) -> None:
    status, problem = call(
        "Lines", {"count": 101}, faults={"Client.TooMany": 413, "Sender/TooMany": 413}, fault_detail="pass"
    )
    assert status == 413
    assert problem["fault"]["reason"] == "no more than 100"
