"""`sluicegate check`: compiles a configuration without serving it, and prints what is wrong with it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import orjson
import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, print_findings
from gateway.compile import Compiled, compile_configuration
from gateway.compile.finding import counted


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


def command(app: typer.Typer) -> None:
    """Register `check` on the application."""

    @app.command("check", epilog="Example: sluicegate check ./config --strict")
    def check(
        folder: Annotated[
            Path | None, typer.Argument(metavar="DIR", help="The configuration; --config when left out.")
        ] = None,
        config: ConfigOption = DEFAULT_CONFIG,
        output: Annotated[
            Format, typer.Option("--format", help="text: one line a finding. json: one document.")
        ] = Format.TEXT,
        strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    ) -> None:
        """Check a configuration without serving it; prints every finding with its place.

        Ends with 0, with 1 when there are errors (--strict: or warnings), with 2 when there is nothing to read.
        """
        compiled = compile_configuration(folder or config)
        if output is Format.JSON:
            _print_json(compiled)
        else:
            _print_text(compiled)
        if not compiled.readable:
            raise typer.Exit(2)
        if compiled.errors or (strict and compiled.findings):
            raise typer.Exit(1)


def _print_json(compiled: Compiled) -> None:
    plan = compiled.plan
    document = {
        "version": plan and plan.version,
        "routes": len(plan.routes) if plan else None,
        "findings": [finding.as_dict() for finding in compiled.findings],
    }
    typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def _print_text(compiled: Compiled) -> None:
    print_findings(compiled.findings)
    errors, warnings = len(compiled.errors), len(compiled.warnings)
    counts = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"
    if compiled.plan is None:
        typer.echo(counts, err=True)
        return
    plan = compiled.plan
    parts = (
        counted(len(plan.routes), "route"),
        counted(len(plan.upstreams), "upstream"),
        counted(len(plan.consumers), "consumer"),
    )
    typer.echo(f"configuration {plan.version}: {', '.join(parts)}; {counts}", err=True)
