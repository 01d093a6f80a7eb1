"""The command line: `sluicegate`. One module a command; each registers itself on the application made here."""

from __future__ import annotations


def main() -> None:
    """Entry point of the `sluicegate` command."""
    from gateway.cli.application import application  # noqa: PLC0415  # workers import gateway without typer

    application()()
