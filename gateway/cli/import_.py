"""`sluicegate import`: the group of what makes routes from descriptions of other systems."""

from __future__ import annotations

import typer

from gateway.cli.import_copybook import import_copybook
from gateway.cli.import_wsdl import import_wsdl


def command(app: typer.Typer) -> None:
    """Register `import` on the application."""
    group = typer.Typer(no_args_is_help=True, help="Routes and an OpenAPI document from a WSDL or a copybook.")
    group.command("wsdl")(import_wsdl)
    group.command(
        "copybook", epilog="Example: sluicegate import copybook customer.cpy --out config/routes/customer.yaml"
    )(import_copybook)
    app.add_typer(group, name="import")
