"""`sluicegate schema`: the JSON Schema of the configuration, with the policies and adapters that are installed."""

from __future__ import annotations

import orjson
import typer

from gateway.compile.registry import installed
from gateway.compile.schema import configuration_schema


def command(app: typer.Typer) -> None:
    """Register `schema` on the application."""

    @app.command("schema", epilog="Example: sluicegate schema > config/schema/sluicegate.schema.json")
    def schema() -> None:
        """Print the JSON Schema of the configuration, for editors.

        An editor with a YAML language server completes and checks a file that begins with
        `# yaml-language-server: $schema=PATH`.
        """
        typer.echo(
            orjson.dumps(configuration_schema(installed()), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE),
            nl=False,
        )
