"""`sluicegate wsdl`: look at a WSDL, and try its messages by hand. Sends nothing anywhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import orjson
import typer

from adapters.soap.catalogue import CATALOGUE
from adapters.soap.codec.answers import Answer
from adapters.soap.codec.envelope import OperationCodec
from adapters.soap.codec.errors import Deviation, Misfit
from adapters.soap.codec.lexical_form import Numbers
from adapters.soap.codec.parsing import NotXml, parse
from adapters.soap.codec.shared import Shared
from adapters.soap.description.json_schema import JsonSchemas
from adapters.soap.description.simple_schema import Json
from adapters.soap.schema.documents import BadWsdl
from gateway.http.exact_json import BadJson, load_json

app = typer.Typer(no_args_is_help=True, help="Look at a WSDL and try its messages.")

File = Annotated[str, typer.Argument(help="The WSDL 1.1 file.", show_default=False)]
Name = Annotated[str, typer.Argument(help="The operation.", show_default=False)]
Service = Annotated[str | None, typer.Option(help="The service, where several offer the operation.")]
Port = Annotated[str | None, typer.Option(help="The port.")]
Numerals = Annotated[str, typer.Option("--numbers", help="How xs:decimal is written: string or number.")]


@app.command()
def describe(
    file: File,
    operation: Annotated[str | None, typer.Option(help="Only this operation.")] = None,
    numbers: Numerals = "string",
) -> None:
    """Operations with JSON Schemas of their messages.

    Example: sluicegate wsdl describe wsdl/orders.wsdl --operation GetOrder
    """
    wsdl = load(file).wsdl
    schemas = JsonSchemas(wsdl.schema, "#/$defs/", numbers=_numbers(numbers))
    listed: list[Json] = []
    for port, found in wsdl.operations():
        if operation is not None and found.name != operation:
            continue
        described: Json = {
            "operation": found.name,
            "service": port.service,
            "port": port.name,
            "soap": found.version,
            "style": f"{found.input.style}/{'encoded' if found.input.encoded else 'literal'}",
            "address": port.address,
            "action": found.action,
            "request": schemas.message(found.input),
            "response": schemas.message(found.output) if found.output is not None else None,
        }
        faults = tuple(part.element for part in found.faults if part.element is not None)
        if faults:
            described["faults"] = schemas.elements(faults)
        listed.append(described)
    if operation is not None and not listed:
        _fail(f"{file}: no operation {operation}; there are: {', '.join(found.name for _, found in wsdl.operations())}")
    document = {"wsdl": file, "operations": listed, "$defs": schemas.definitions}
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))  # bounds may have any number of digits


@app.command()
def render(file: File, operation: Name, service: Service = None, port: Port = None) -> None:
    """JSON on stdin to the envelope that would be sent.

    Example: echo '{"number": "A-1"}' | sluicegate wsdl render wsdl/orders.wsdl GetOrder
    """
    codec = _codec(file, operation, service, port)
    try:
        value = load_json(sys.stdin.buffer.read())
        headers: dict[str, object] = {}
        if isinstance(value, dict) and isinstance(value.get("$headers"), dict):
            headers = value.pop("$headers")
        typer.echo(codec.encode(value, headers))
    except BadJson as exc:
        _fail(f"stdin: {exc}")
    except Misfit as misfit:
        _fail(f"{misfit.pointer or '/'}: {misfit.detail}")


@app.command(name="parse")
def parse_envelope(
    file: File,
    operation: Name,
    service: Service = None,
    port: Port = None,
    numbers: Numerals = "string",
    request: Annotated[bool, typer.Option("--request", help="The envelope is a request, not an answer.")] = False,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Go on where the envelope is not by the schema, and say where.")
    ] = False,
) -> None:
    """An envelope on stdin to the JSON a caller would get.

    Example: sluicegate wsdl parse wsdl/orders.wsdl GetOrder < answer.xml
    """
    codec = _codec(file, operation, service, port, _numbers(numbers), request)
    answer = Answer(strict=not lenient)
    try:
        root = parse(sys.stdin.buffer.read())
        content = codec.decode(root, answer)
        headers = codec.decode_headers(root, answer)
    except NotXml as exc:
        _fail(f"stdin: the envelope {exc}")
    except Deviation as deviation:
        _fail(f"{deviation.where or 'Envelope'}: {deviation.detail}")
    for line in answer.overlooked:
        typer.echo(line, err=True)
    value = content.value
    if content.fault is not None:
        fault = content.fault
        value = {"fault": {"code": fault.code, "reason": fault.reason, "detail": {**fault.detail, **fault.undeclared}}}
    elif headers and isinstance(value, dict):
        value = {"$headers": headers, **value}
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def load(file: str) -> Shared:
    """The compiled WSDL; its findings go to stderr, and errors end the command."""
    path = Path(file)
    try:
        shared = CATALOGUE.compiled(path.name, lambda name: (path.parent / name).read_bytes())
    except OSError as exc:
        _fail(f"{file}: {exc.strerror or exc}")
    except BadWsdl as exc:
        _fail("\n".join(map(str, exc.findings)))
    for finding in shared.wsdl.findings:
        typer.echo(str(finding), err=True)
    if shared.wsdl.findings.errors:
        raise typer.Exit(1)
    return shared


def _codec(
    file: str, name: str, service: str | None, port: str | None, numbers: Numbers = "string", request: bool = False
) -> OperationCodec:
    shared = load(file)
    try:
        _, operation = shared.wsdl.require(name, service=service, port=port)
    except LookupError as exc:
        _fail(f"{file}: {exc.args[0]}")
    codec = OperationCodec(shared.wsdl, operation, shared, numbers=numbers)
    return codec.mirrored(shared, numbers) if request else codec


def _numbers(text: str) -> Numbers:
    if text == "number":
        return "number"
    if text != "string":
        _fail(f"--numbers is string or number, not {json.dumps(text)}")
    return "string"


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
