"""`sluicegate routes`: the route table, as a table."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from gateway.api.policy import Slot
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, sound
from gateway.compile.plan import RoutePlan
from gateway.compile.registry import installed


def command(app: typer.Typer) -> None:
    """Register `routes` on the application."""

    @app.command("routes", epilog="Example: sluicegate routes --config ./config")
    def routes(config: ConfigOption = DEFAULT_CONFIG) -> None:
        """Print the route table: what is matched, who may call, where it leads."""
        configuration = sound(config)
        table = Table("ROUTE", "METHODS", "HOST", "PATH", "CALLERS", "LEADS TO", "WRITTEN AT", box=None, pad_edge=False)
        for route in configuration.plan.routes.values():
            match = route.config.match
            conditions = [f"{name}: {value}" for name, value in match.headers.items()]
            conditions += [f"?{name}={value}" for name, value in match.query.items()]
            cells = (
                route.name,
                ", ".join(match.method) or "any",
                ", ".join(match.host) or "any",
                "\n".join([match.path, *conditions]),
                callers(route),
                leads_to(route),
                str(route.place),
            )
            table.add_row(*map(configuration.hide, cells))
        # wide when nobody looks: what goes into a pipe is neither wrapped nor cut
        console = Console(highlight=False, markup=False)
        if not console.is_terminal:
            console = Console(highlight=False, markup=False, width=max(console.width, 400))
        console.print(table)


def callers(route: RoutePlan) -> str:
    """Who is let in: the authenticators, or `public`."""
    if route.auth is not None:
        kind, names = route.auth
        return f"{kind} of {', '.join(names)}"
    specs = installed().policies
    names = tuple(each.policy for each in route.policies if specs[each.policy].slot(each.config) is Slot.AUTHENTICATE)
    return ", ".join(names) or "public"


def leads_to(route: RoutePlan) -> str:
    if route.config.respond is not None:
        return f"responds {route.config.respond.status}"
    adapter = f" by {route.adapter.adapter}" if route.adapter else ""
    return f"{route.config.upstream}{adapter}"
