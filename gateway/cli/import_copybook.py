"""`sluicegate import copybook`: a first route and an OpenAPI document from a copybook. Writes two files, knows no gateway."""

from __future__ import annotations

import json
import os.path
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.errors import CopybookError
from adapters.fixed_width.options import Options
from adapters.fixed_width.reading import read_layout, with_layout
from adapters.fixed_width.schema import record_schema
from gateway.cli.copybook_options import FileArgument, fail
from gateway.cli.fresh import ForceOption, write_fresh

_ROUTES = """\
# Made from {file}. To do: the target, and an authenticator (or `public: true`) unless `defaults` has one.
upstreams:
  {name}: {{targets: ["http://127.0.0.1:9000"]}}
routes:
  - name: {name}
    match: {{method: POST, path: /{name}}}
    upstream: {name}
    adapter:
      fixed_width:
        request: {{{kind}: {path}{codepage}}}
        response: {{{kind}: {path}{codepage}}}
"""


def import_copybook(
    file: FileArgument,
    out: Annotated[Path, typer.Option("--out", help="The routes file to write, as in config/routes/customer.yaml")],
    openapi: Annotated[Path | None, typer.Option("--openapi", help="Also write an OpenAPI 3.1 document")] = None,
    codepage: Annotated[
        str | None, typer.Option("--codepage", help="Code page of text and digits  [default: cp037]")
    ] = None,
    force: ForceOption = False,
) -> None:
    """A route that takes and gives JSON for the records of FILE, and an OpenAPI 3.1 document of it."""
    try:
        layout = read_layout(file)
        options = Options(codepage=codepage) if codepage else Options()
        codec = RecordCodec(layout, with_layout(options, layout))
    except (CopybookError, LookupError, ValueError) as exc:
        fail(exc.args[0] if isinstance(exc, LookupError) else exc)
    name = re.sub(r"[^a-z0-9]+", "-", (codec.plans[0].item.name or file.stem).lower()).strip("-")[:63]
    path = Path(_relative(file, out.parent))
    text = _ROUTES.format(
        file=file.name,
        name=name,
        kind="layout" if layout.plain else "copybook",
        path=json.dumps(str(path)),
        codepage=f", codepage: {codepage}" if codepage else "",
    )
    texts = {out: text}
    if openapi is not None:
        texts[openapi] = json.dumps(openapi_document(codec, name), indent=2, ensure_ascii=False) + "\n"
    write_fresh(texts, force=force)
    typer.echo(f"wrote {out}" + (f" and {openapi}" if openapi else ""))


def _relative(file: Path, folder: Path) -> str:
    """The copybook as seen from the file that names it; absolute when they share nothing."""
    return os.path.relpath(file.resolve(), folder.resolve())


def openapi_document(codec: RecordCodec, name: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document with one operation that takes a record and gives one."""
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    record = {"application/json": {"schema": {"$ref": "#/components/schemas/Record"}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": "1.0.0"},
        "paths": {
            f"/{name}": {
                "post": {
                    "operationId": name,
                    "requestBody": {"required": True, "content": record},
                    "responses": {
                        "200": {"description": "The answering record", "content": record},
                        "422": {
                            "description": "The request does not fit the record; `pointer` says where",
                            "content": problem,
                        },
                        "502": {"description": "The upstream's answer does not fit its record", "content": problem},
                    },
                }
            }
        },
        "components": {
            "schemas": {
                "Record": record_schema(codec),
                "Problem": {
                    "type": "object",
                    "properties": {
                        key: {"type": "string"} for key in ("type", "title", "detail", "code", "request_id", "pointer")
                    }
                    | {"status": {"type": "integer"}},
                },
            }
        },
    }
