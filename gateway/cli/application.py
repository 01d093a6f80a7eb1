"""The `sluicegate` command: finds the module of each command, and imports it only when it is called.

Such a module has `command(app)`, which registers it, or is a group of commands, and has it as `app`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "demo": ("Try Sluicegate: a gateway with demo APIs, and calls to paste.", "demo"),
    "serve": ("Serve a configuration.", "serve"),
    "check": ("Check a configuration without serving it.", "check"),
    "explain": ("Say which route answers a request, and with which policies.", "explain"),
    "routes": ("Print the route table.", "routes"),
    "schema": ("Print the JSON Schema of the configuration, for editors.", "schema"),
    "keys": ("Make API keys for consumers.", "keys"),
    "idempotency": ("Look at idempotency keys; settle or free them.", "idempotency"),
    "import": ("Make routes from a WSDL or a copybook.", "import_"),
    "wsdl": ("Look at a WSDL, and try its messages.", "wsdl"),
    "copybook": ("Look at a copybook; decode and encode its records.", "copybook"),
}
"""Name to what `sluicegate --help` says of it, and the module beside this one that has it.

The sentence stands here so that help need not import every command: that takes 1.3 s, this 0.3.
"""


class _Commands(TyperGroup):
    """Commands that are imported when they are asked for. (`Any`: which click it is differs between versions of typer.)"""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return load(cmd_name) if cmd_name in COMMANDS else None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        listed = TyperGroup(name=self.name, help=self.help, params=self.params, epilog=self.epilog)
        listed.rich_markup_mode = self.rich_markup_mode
        listed.commands = {name: TyperCommand(name, help=sentence) for name, (sentence, _) in COMMANDS.items()}
        listed.format_help(ctx, formatter)


def application() -> typer.Typer:
    """The command line, complete."""
    app = typer.Typer(
        name="sluicegate",
        cls=_Commands,
        no_args_is_help=True,
        epilog="Example: sluicegate demo",
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_show_locals=False,  # they may hold secrets
    )

    @app.callback()
    def sluicegate(
        version_: Annotated[
            bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
        ] = False,
    ) -> None:
        """One hardened endpoint in front of REST, SOAP and fixed-width systems."""

    return app


def load(name: str) -> Any:
    """The command called `name`, imported now."""
    app = typer.Typer()
    module = import_module(f"gateway.cli.{COMMANDS[name][1]}")
    if hasattr(module, "command"):
        module.command(app)
    else:
        app.add_typer(module.app, name=name)
    return typer.main.get_group(app).commands[name]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sluicegate {version('sluicegate')}")
        raise typer.Exit
