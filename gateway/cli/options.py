"""Options that every command takes, and how a configuration that cannot be used is reported. Compiles and serves nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from gateway.compile import Compiled, Finding, compile_configuration
from gateway.compile.plan import Plan

DEFAULT_CONFIG = Path("config")

ConfigOption = Annotated[
    Path,
    typer.Option(
        "--config",
        metavar="DIR",
        envvar="SLUICEGATE_CONFIG",
        help="Folder with gateway.yaml (or one file).",
        show_default=True,
    ),
]


def print_findings(findings: Iterable[Finding], *, to_stderr: bool = False) -> None:
    """One line each, as editors and CI understand them."""
    for finding in findings:
        typer.echo(str(finding), err=to_stderr)


def plan_of(config: Path) -> Plan:
    """The plan of a configuration that must be sound; otherwise its errors go to stderr and the command ends: 2."""
    compiled: Compiled = compile_configuration(config)
    if compiled.plan is None:
        print_findings(compiled.errors, to_stderr=True)
        raise typer.Exit(2)
    return compiled.plan
