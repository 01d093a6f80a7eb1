"""A SOAP route in a whole configuration: what it reads travels to the workers, and a worker can build from that alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from adapters.soap import ADAPTER
from adapters.soap.route import SoapRoute
from gateway.api.adapter import AdapterScope
from gateway.compile import Compiler

from .calls import exchange_of, sent
from .wsdls import FOLDER

GATEWAY = """\
version: 1
upstreams:
  orders: {targets: ["http://127.0.0.1:9"]}
routes:
  - name: get-order
    match: {method: GET, path: "/orders/{number}"}
    upstream: orders
    public: true
    adapter: {soap: {wsdl: wsdl/orders.wsdl, operation: GetOrder, safe: true}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(FOLDER / "orders", tmp_path / "wsdl")
    (tmp_path / "gateway.yaml").write_text(GATEWAY)
    return tmp_path


def test_imports_travel_with_the_plan_and_a_worker_builds_from_them(folder: Path) -> None:
    compiled = Compiler(folder).compile()
    assert not compiled.errors
    assert compiled.plan is not None
    plan = compiled.plan.routes["get-order"].adapter
    assert plan is not None
    assert set(plan.files) == {f"wsdl/{name}" for name in ("orders.wsdl", "types.xsd", "common.xsd", "chameleon.xsd")}
    route = ADAPTER.build(plan.config, AdapterScope("get-order", "orders", plan.files.__getitem__))
    assert isinstance(route, SoapRoute)
    assert b">A-1<" in sent(route.codec, None, exchange_of("GET", "/", [], {"number": "A-1"})).body  # type: ignore[arg-type]


def test_an_edited_import_changes_the_routes_fingerprint(folder: Path) -> None:
    def fingerprint() -> str:
        plan = Compiler(folder).compile().plan
        assert plan is not None
        return plan.routes["get-order"].fingerprint

    before = fingerprint()
    path = folder / "wsdl" / "common.xsd"
    path.write_text(path.read_text().replace('"40"', '"41"'))
    assert fingerprint() != before


def test_a_missing_import_is_a_finding_at_the_routes_line(folder: Path) -> None:
    (folder / "wsdl" / "common.xsd").unlink()
    found = [(error.path, error.line, error.message) for error in Compiler(folder).compile().errors]
    assert any(
        path.endswith("soap.wsdl") and line == 9 and "types.xsd:4: cannot read wsdl/common.xsd" in text
        for path, line, text in found
    )
