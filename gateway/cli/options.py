"""Options that every command takes, and how a configuration that cannot be used is reported. Compiles and serves nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from gateway.api.config import Secret
from gateway.compile import Compiled, Finding, compile_configuration
from gateway.compile.masking import secrets_in, without_secrets
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


@dataclass(frozen=True)
class Sound:
    """A configuration without errors. What is printed of it goes through `hide`: no secret is shown anywhere."""

    plan: Plan
    secrets: tuple[Secret, ...]

    def hide(self, text: str) -> str:
        """The text with references in place of what they stand for."""
        return without_secrets(text, self.secrets)


def sound(config: Path) -> Sound:
    """The configuration there; one with errors prints them to stderr and ends the command: 2."""
    compiled: Compiled = compile_configuration(config)
    if compiled.plan is None:
        print_findings(compiled.errors, to_stderr=True)
        raise typer.Exit(2)
    return Sound(compiled.plan, tuple(secrets_in(compiled.written)))
