"""`sluicegate import wsdl`: routes and an OpenAPI document from a WSDL, for a person to go on from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
import yaml

from adapters.soap.description.openapi import openapi as openapi_document
from adapters.soap.description.routes import imported_routes, routes_yaml
from gateway.cli.fresh import ForceOption, write_fresh
from gateway.cli.wsdl import load


def import_wsdl(
    file: Annotated[str, typer.Argument(help="The WSDL 1.1 file.", show_default=False)],
    out: Annotated[
        Path, typer.Option(help="Where the routes go, as in config/routes/orders.yaml.", show_default=False)
    ],
    openapi: Annotated[Path | None, typer.Option(help="Where an OpenAPI 3.1 document goes (.json or .yaml).")] = None,
    force: ForceOption = False,
) -> None:
    """One route per operation of a WSDL.

    Example: sluicegate import wsdl config/wsdl/orders.wsdl --out config/routes/orders.yaml --openapi orders.json
    """
    wsdl = load(file).wsdl
    routes = imported_routes(wsdl)
    relative = os.path.relpath(file, out.parent).replace(os.sep, "/")
    texts = {out: routes_yaml(wsdl, routes, relative)}
    if openapi is not None:
        texts[openapi] = _text(openapi_document(wsdl, routes), openapi)
    write_fresh(texts, force=force)
    reading = sum(route.reads for route in routes)
    typer.echo(
        f"{out}: {len(routes)} routes"
        + (f", {reading} of them with a GET to consider (commented out)" if reading else "")
    )
    if openapi is not None:
        typer.echo(f"{openapi}: OpenAPI 3.1")


def _text(document: dict[str, object], path: Path) -> str:
    if path.suffix == ".json":
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"  # bounds may have any number of digits
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
