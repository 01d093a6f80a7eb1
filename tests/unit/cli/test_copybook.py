"""`sluicegate copybook` and `sluicegate import copybook`, as they are typed."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from gateway.cli.copybook import app
from gateway.cli.import_copybook import import_copybook

COPYBOOK = """\
       01  CUSTOMER.
           05  CUST-ID      PIC 9(5).
           05  CUST-NAME    PIC X(10).
           05  BALANCE      PIC S9(5)V99 COMP-3.
           05  KIND         PIC X.
               88  GOOD     VALUE 'G'.
           05  BIG          PIC S9(18).
"""
ONE = {"cust_id": 42, "cust_name": "Ada", "balance": -1.5, "kind": "G", "big": "-7"}
RECORD = "00042Ada       ".encode("cp037") + bytes.fromhex("0000150d") + "G".encode("cp037") + b"\xf0" * 17 + b"\xd7"


@pytest.fixture
def copybook(tmp_path: Path) -> Path:
    path = tmp_path / "customer.cpy"
    path.write_text(COPYBOOK)
    return path


def run(*arguments: object, stdin: bytes = b"", status: int = 0) -> Any:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    assert result.exit_code == status, result.output
    return result


def test_describe(copybook: Path) -> None:
    lines = run("describe", copybook).stdout.splitlines()
    assert lines[0].split() == ["level", "name", "offset", "length", "form"]
    assert lines[4].split() == ["5", "BALANCE", "15", "4", "packed,", "7", "digits,", "scale", "2,", "signed"]
    assert lines[-1] == "CUSTOMER: 38 bytes"
    rows = [json.loads(line) for line in run("describe", copybook, "--format", "json").stdout.splitlines()]
    assert rows[4] | {"depth": 0} == {
        "level": 5,
        "name": "KIND",
        "offset": 19,
        "length": 1,
        "form": "text",
        "notes": "88 GOOD",
        "depth": 0,
    }


def test_decode_and_encode(copybook: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.bin"
    data.write_bytes(RECORD * 3)
    decoded = run("decode", copybook, data).stdout
    assert decoded.splitlines() == ['{"cust_id":42,"cust_name":"Ada","balance":-1.50,"kind":"G","big":"-7"}'] * 3
    assert run("encode", copybook, stdin=decoded.encode()).stdout_bytes == RECORD * 3
    assert run("decode", copybook, "-", stdin=RECORD).stdout == decoded.splitlines()[0] + "\n"


def test_options_have_the_names_of_the_configuration(copybook: Path) -> None:
    typed = [
        "--codepage",
        "cp500",
        "--record-format",
        "rdw:little:exclusive",
        "--names",
        "camel",
        "--numbers",
        "string",
        "--conditions",
        "name",
        "--redefines",
        "all",
        "--trunc",
        "bin",
    ]
    typed += ["--float", "ieee", "--edited", "text", "--dialect", "gnucobol", "--record", "customer", "--lenient"]
    raw = b"\x26\0\0\0" + RECORD
    found = run("decode", copybook, "-", *typed, stdin=raw).stdout
    assert json.loads(found) == {"custId": "42", "custName": "Ada", "balance": "-1.50", "kind": "good", "big": "-7"}
    assert run("encode", copybook, *typed, stdin=found.encode()).stdout_bytes == raw


def test_faults_have_their_place(copybook: Path, tmp_path: Path) -> None:
    bad = RECORD[:15] + b"\0\0\x15\x40" + RECORD[19:]
    result = run("decode", copybook, "-", stdin=RECORD + bad, status=1)
    assert (
        result.stderr
        == "error: record 2, field CUSTOMER.BALANCE, offset 15 (byte 53 of the data): the last nibble is no sign (found X'00 00 15 40')\n"
    )
    assert len(result.stdout.splitlines()) == 1
    lines = json.dumps(ONE) + "\n" + json.dumps(ONE | {"cust_id": 123456})
    result = run("encode", copybook, stdin=lines.encode(), status=1)
    assert (
        result.stderr
        == "error: record 2, field CUSTOMER.CUST-ID, offset 0: the number has more than 5 digits before the decimal point\n"
    )
    assert result.stdout_bytes == RECORD
    assert "record 1, offset 0: not JSON" in run("encode", copybook, stdin=b"{", status=1).stderr


def test_a_file_appears_only_when_all_went_well(copybook: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.bin"
    run("encode", copybook, "--out", out, stdin=json.dumps(ONE).encode() + b"\n{}", status=1)
    assert list(tmp_path.glob("*out.bin*")) == []
    run("encode", copybook, "--out", out, stdin=json.dumps(ONE).encode())
    assert out.read_bytes() == RECORD


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--codepage", "cp9"], "unknown code page cp9"),
        (["--record-format", "vb"], "record format 'vb': one of fixed"),
        (["--select", "KIND"], "written as FIELD=VALUE:GROUP"),
        (["--select", "KIND=G:NOPE"], "no alternative named NOPE"),
        (["--record", "NOPE"], "no record NOPE; there are CUSTOMER"),
    ],
)
def test_options_that_make_no_sense(copybook: Path, arguments: list[str], message: str) -> None:
    assert message in run("decode", copybook, "-", *arguments, status=1).stderr


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "bad.cpy").write_text("       01  A.\n           05  B PIC Q.\n")
    for command in (["describe"], ["decode", "-"], ["encode"]):
        result = run(command[0], tmp_path / "bad.cpy", *command[1:], status=1)
        assert "bad.cpy:2:22: B: PICTURE Q: unknown symbol 'Q'" in result.stderr
    assert "cannot be read: No such file or directory" in run("describe", tmp_path / "gone.cpy", status=1).stderr


def test_plain_layouts_say_their_own_page_and_form(tmp_path: Path) -> None:
    path = tmp_path / "pay.yaml"
    path.write_text(
        'codepage: ascii\nrecord_format: "delimiter:\\\\n"\nfields: [{name: id, length: 3, type: integer}, {name: who, length: 4}]\n'
    )
    assert (
        run("decode", path, "-", stdin=b"007Ada \n042Bob \n").stdout == '{"id":7,"who":"Ada"}\n{"id":42,"who":"Bob"}\n'
    )
    assert run("encode", path, "--codepage", "cp037", stdin=b'{"id":7,"who":"A"}').stdout_bytes == "007A   \n".encode(
        "cp037"
    )


def imported(copybook: Path, *arguments: object) -> Any:
    application = typer.Typer()
    application.command()(import_copybook)
    return CliRunner().invoke(application, [str(copybook), *(str(argument) for argument in arguments)])


def test_import_overwrites_only_when_told(copybook: Path, tmp_path: Path) -> None:
    routes, document = tmp_path / "routes" / "customer.yaml", tmp_path / "customer.json"
    document.write_text("mine")
    told = imported(copybook, "--out", routes, "--openapi", document)
    assert (told.exit_code, told.stderr) == (1, f"error: {document} is there already; --force overwrites it\n")
    assert (document.read_text(), routes.exists()) == ("mine", False)
    assert imported(copybook, "--out", routes, "--openapi", document, "--force").exit_code == 0
    assert routes.exists()
    assert json.loads(document.read_text())["openapi"] == "3.1.0"


def test_import_writes_a_route_and_openapi(copybook: Path, tmp_path: Path) -> None:
    routes, document = tmp_path / "routes" / "customer.yaml", tmp_path / "openapi.json"
    routes.parent.mkdir()
    result = imported(copybook, "--out", routes, "--openapi", document)
    assert result.exit_code == 0, result.output
    (route,) = yaml.safe_load(routes.read_text())["routes"]
    assert (route["name"], route["match"]) == ("customer", {"method": "POST", "path": "/customer"})
    assert route["adapter"]["fixed_width"]["request"] == {"copybook": "../customer.cpy"}
    openapi = json.loads(document.read_text())
    assert openapi["openapi"] == "3.1.0"
    properties = openapi["components"]["schemas"]["Record"]["properties"]
    assert properties["cust_id"] == {"type": "integer", "minimum": 0, "maximum": 99999}
    assert properties["cust_name"] == {"type": "string", "maxLength": 10}
    assert properties["balance"] == {"type": "number", "minimum": -99999.99, "maximum": 99999.99, "multipleOf": 0.01}
    assert properties["big"] == {"type": "string", "pattern": r"^-?\d{1,18}$"}
    assert properties["kind"]["description"] == "Level 88: GOOD = G"


def test_import_of_what_cannot_be_used(tmp_path: Path) -> None:
    result = imported(tmp_path / "gone.cpy", "--out", tmp_path / "x.yaml")
    assert (result.exit_code, "cannot be read" in result.output) == (1, True)
    assert not (tmp_path / "x.yaml").exists()
