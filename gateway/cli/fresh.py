"""Writes the files that a person goes on from: what is there already, and may hold that person's work, stays unless told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]


def write_fresh(texts: Mapping[Path, str], *, force: bool) -> None:
    """All of them, with the folders that they need; ends the command with 1 before the first where one is there."""
    for path in texts:
        if path.exists() and not force:
            typer.echo(f"error: {path} is there already; --force overwrites it", err=True)
            raise typer.Exit(1)
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as exc:
        typer.echo(f"error: {exc.filename}: {exc.strerror}", err=True)
        raise typer.Exit(1) from exc
