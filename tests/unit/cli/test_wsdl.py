"""`sluicegate wsdl` and `sluicegate import wsdl` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from adapters.soap.check import check
from adapters.soap.config import SoapConfig
from gateway.api.adapter import AdapterScope
from gateway.cli.import_wsdl import import_wsdl
from gateway.cli.wsdl import app
from tests.unit.adapters.soap.wsdls import wsdl_of

WSDLS = Path(__file__).parents[1] / "adapters" / "soap" / "wsdl"
ORDERS = str(WSDLS / "orders" / "orders.wsdl")
T = 'xmlns="urn:example:orders:types"'
ANSWER = f'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><SubmitOrderResponse {T}><number>A</number><total>1.50</total></SubmitOrderResponse></e:Body></e:Envelope>'

root = typer.Typer()
root.add_typer(app, name="wsdl")
importing = typer.Typer()
importing.callback()(lambda: None)
importing.command("wsdl")(import_wsdl)
root.add_typer(importing, name="import")


def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
    result = CliRunner().invoke(root, list(arguments), input=stdin)
    return result.exit_code, result.stdout, result.stderr


def test_describe_lists_operations_with_their_schemas() -> None:
    code, out, _ = run("wsdl", "describe", ORDERS)
    document = json.loads(out)
    assert code == 0
    assert [entry["operation"] for entry in document["operations"]] == ["SubmitOrder", "GetOrder", "Notify"]
    submit, _, notify = document["operations"]
    assert submit["request"]["properties"]["order"] == {"$ref": "#/$defs/Order"}
    assert "OutOfStock" in submit["faults"]["properties"]
    assert notify["response"] is None


def test_describe_of_one_operation() -> None:
    assert len(json.loads(run("wsdl", "describe", ORDERS, "--operation", "Notify")[1])["operations"]) == 1
    code, _, err = run("wsdl", "describe", ORDERS, "--operation", "Nope")
    assert (code, "SubmitOrder, GetOrder, Notify" in err) == (1, True)


def test_render_and_parse_are_inverse() -> None:
    code, envelope, _ = run("wsdl", "render", ORDERS, "GetOrder", stdin='{"number": "<A>"}')
    assert code == 0
    code, out, _ = run("wsdl", "parse", ORDERS, "GetOrder", "--request", stdin=envelope)
    assert (code, json.loads(out)) == (0, {"number": "<A>"})


def test_render_of_headers_and_other_ports() -> None:
    stdin = '{"$headers": {"Tracking": {"Id": "T"}}, "order": {}}'
    assert run("wsdl", "render", ORDERS, "SubmitOrder", stdin=stdin)[2].startswith("/order/Customer: ")
    out = run("wsdl", "render", ORDERS, "GetOrder", "--port", "Orders12", stdin='{"number": "A"}')[1]
    assert "http://www.w3.org/2003/05/soap-envelope" in out


@pytest.mark.parametrize(
    ("command", "stdin", "words"),
    [
        (("render", ORDERS, "GetOrder"), "{}", "/number: the required member is missing"),
        (("render", ORDERS, "GetOrder"), "{", "stdin: not JSON"),
        (("render", ORDERS, "GetOder"), "{}", "did you mean GetOrder?"),
        (("render", "none.wsdl", "GetOrder"), "{}", "none.wsdl: No such file"),
        (("parse", ORDERS, "SubmitOrder"), ANSWER.replace("1.50", "x"), "SubmitOrderResponse/total: a decimal number"),
        (("parse", ORDERS, "SubmitOrder"), "<a", "stdin: the envelope is not well-formed"),
        (("parse", ORDERS, "SubmitOrder", "--numbers", "words"), ANSWER, "string or number"),
    ],
)
def test_what_does_not_fit_is_exit_1_with_its_place(command: tuple[str, ...], stdin: str, words: str) -> None:
    code, out, err = run("wsdl", *command, stdin=stdin)
    assert (code, out) == (1, "")
    assert words in err


def test_parse_prints_faults_and_goes_on_when_lenient() -> None:
    assert (
        json.loads(run("wsdl", "parse", ORDERS, "SubmitOrder", "--numbers", "number", stdin=ANSWER)[1])["total"] == 1.5
    )
    code, out, err = run("wsdl", "parse", ORDERS, "SubmitOrder", "--lenient", stdin=ANSWER.replace("1.50", "x"))
    assert (code, json.loads(out)["total"]) == (0, "x")
    assert "SubmitOrderResponse/total" in err
    fault = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault><faultcode>e:Client</faultcode><faultstring>no</faultstring></e:Fault></e:Body></e:Envelope>'
    assert json.loads(run("wsdl", "parse", ORDERS, "SubmitOrder", stdin=fault)[1])["fault"]["reason"] == "no"


def test_findings_of_the_wsdl_end_the_command(tmp_path: Path) -> None:
    path = tmp_path / "bad.wsdl"
    path.write_text(Path(ORDERS).read_text())
    code, _, err = run("wsdl", "describe", str(path))
    assert code == 1
    assert "bad.wsdl:8: error: cannot read types.xsd: No such file" in err


def test_import_writes_routes_and_openapi(tmp_path: Path) -> None:
    out, api = tmp_path / "routes" / "orders.yaml", tmp_path / "orders.json"
    code, said, err = run("import", "wsdl", ORDERS, "--out", str(out), "--openapi", str(api))
    assert (code, err) == (0, "")
    assert "3 routes" in said
    document = yaml.safe_load(out.read_text())
    assert document["upstreams"] == {"order-service": {"targets": ["http://orders.internal:8080"]}}
    route = document["routes"][1]
    assert route["match"] == {"method": "POST", "path": "/order-service/get-order"}
    assert (out.parent / route["adapter"]["soap"]["wsdl"]).resolve() == Path(ORDERS)
    assert out.read_text().count("safe: true") == 1, "GetOrder has a GET, commented out"
    described = json.loads(api.read_text())
    assert described["openapi"] == "3.1.0"
    assert set(described["paths"]) == {route["match"]["path"] for route in document["routes"]}
    assert "202" in described["paths"]["/order-service/notify"]["post"]["responses"]
    for reference in json.dumps(described).split('"$ref": "')[1:]:
        assert reference.split('"')[0].rpartition("/")[2] in described["components"]["schemas"]


def test_import_overwrites_only_when_told(tmp_path: Path) -> None:
    out = tmp_path / "orders.yaml"
    out.write_text("mine")
    assert run("import", "wsdl", ORDERS, "--out", str(out))[0] == 1
    assert out.read_text() == "mine"
    assert run("import", "wsdl", ORDERS, "--out", str(out), "--openapi", str(tmp_path / "o.yaml"), "--force")[0] == 0
    assert yaml.safe_load((tmp_path / "o.yaml").read_text())["openapi"] == "3.1.0"


@pytest.mark.parametrize("name", ["shapes.wsdl", "rpc_literal.wsdl", "rpc_encoded.wsdl"])
def test_every_wsdl_can_be_imported_and_described(tmp_path: Path, name: str) -> None:
    assert (
        run(
            "import",
            "wsdl",
            str(WSDLS / name),
            "--out",
            str(tmp_path / "r.yaml"),
            "--openapi",
            str(tmp_path / "o.json"),
        )[0]
        == 0
    )
    assert run("wsdl", "describe", str(WSDLS / name))[0] == 0


def test_bounds_of_any_number_of_digits_are_described(tmp_path: Path) -> None:
    file = tmp_path / "large.wsdl"
    bound = '<x:simpleType><x:restriction base="x:{}"><x:maxInclusive value="{}"/></x:restriction></x:simpleType>'
    fields = (("n", "integer", "9" * 30), ("d", "double", "1E300"), ("m", "double", "1E99999"))
    schema = "".join(
        f'<x:element name="{name}">{bound.format(kind, value)}</x:element>' for name, kind, value in fields
    )
    file.write_text(
        wsdl_of(f'<x:element name="A"><x:complexType><x:all>{schema}</x:all></x:complexType></x:element>', "A")
    )
    code, out, _ = run("wsdl", "describe", str(file))
    described = json.loads(out)["operations"][0]["request"]["properties"]
    assert (code, described["n"]["maximum"]) == (0, 10**30 - 1)
    code, _, _ = run(
        "import", "wsdl", str(file), "--out", str(tmp_path / "r.yaml"), "--openapi", str(tmp_path / "o.json")
    )
    assert (code, f": {'9' * 30}" in (tmp_path / "o.json").read_text()) == (0, True)


@pytest.mark.parametrize("address", ["REPLACE_WITH_ACTUAL_URL", "", "http://[broken", "http://backend.internal/söap"])
def test_routes_of_a_wsdl_without_a_usable_address_are_to_be_completed(address: str, tmp_path: Path) -> None:
    text = wsdl_of('<x:element name="A" type="x:string"/>', "A").replace("http://backend.internal/soap", address)
    (tmp_path / "a.wsdl").write_text(text)
    code, _, _ = run("import", "wsdl", str(tmp_path / "a.wsdl"), "--out", str(tmp_path / "r.yaml"))
    routes = (tmp_path / "r.yaml").read_text()
    (route,) = yaml.safe_load(routes)["routes"]
    assert code == 0
    assert route["adapter"]["soap"].get("address") == ("/" if address else None)
    assert ("set it to the path of the service" in routes) == bool(address)
    made = SoapConfig(**{**route["adapter"]["soap"], "wsdl": "a.wsdl"})
    assert list(check(made, AdapterScope("r", "u", lambda path: (tmp_path / path).read_bytes()))) == []
    complaints = list(check(made.model_copy(update={"address": None}), AdapterScope("r", "u", lambda path: (tmp_path / path).read_bytes())))  # fmt: skip
    assert [("set address to the path" in one.message) for one in complaints] == [True] * bool(address)
