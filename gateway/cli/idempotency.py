"""`sluicegate idempotency`: look at the record of a key, settle it, free it. Works beside a running gateway or without one."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import orjson
import typer

from gateway.api.errors import StoreError
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, sound
from gateway.ops import records

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    help="Look at idempotency keys; settle or free them.",
    epilog="Example: sluicegate idempotency show 8e03978e --route create-order --consumer acme",
)

Key = Annotated[str, typer.Argument(metavar="KEY", help="The key, without quotes.", show_default=False)]
RouteOption = Annotated[str, typer.Option("--route", metavar="NAME", help="The route it was sent to.")]
ConsumerOption = Annotated[str | None, typer.Option("--consumer", metavar="NAME", help="The consumer who sent it.")]
CallerOption = Annotated[
    str | None,
    typer.Option(
        "--caller", metavar="VALUE", help="Whose key it is, where `scope` is not the consumer: the address, …"
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="Folder for what must last, as it was given to `serve`."),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the log.")]


@app.command("show", epilog="Example: sluicegate idempotency show 8e03978e --route create-order --consumer acme")
def show(
    key: Key,
    route: RouteOption,
    consumer: ConsumerOption = None,
    caller: CallerOption = None,
    state: StateOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Print what is kept of a key, as JSON."""
    document = _do(records.show(_place(config, state, route, key, consumer, caller)))
    typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())


@app.command(
    "settle",
    epilog="Example: sluicegate idempotency settle 8e03978e --route create-order --consumer acme --status 201 "
    "--body '{\"id\": 7}' --reason 'found in the ledger'",
)
def settle(
    key: Key,
    route: RouteOption,
    status: Annotated[int, typer.Option("--status", min=200, max=599, help="The status that retries get.")],
    reason: ReasonOption,
    body: Annotated[str, typer.Option("--body", help="The body that they get.")] = "",
    media_type: Annotated[str, typer.Option("--content-type", help="What the body is.")] = "application/json",
    consumer: ConsumerOption = None,
    caller: CallerOption = None,
    state: StateOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write down how a call ended whose outcome is unknown: retries get this answer."""
    place = _place(config, state, route, key, consumer, caller)
    _do(records.settle(place, status, body.encode(), media_type, getpass.getuser(), reason))
    typer.echo(f"settled: retries get {status}")


@app.command("release", epilog="Example: sluicegate idempotency release 8e03978e --route create-order --consumer acme")
def release(
    key: Key,
    route: RouteOption,
    reason: ReasonOption,
    consumer: ConsumerOption = None,
    caller: CallerOption = None,
    state: StateOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Free a key: its next call is executed."""
    _do(records.release(_place(config, state, route, key, consumer, caller), getpass.getuser(), reason))
    typer.echo("released: the next call with this key is executed")


def _place(
    config: Path, state: Path | None, route: str, key: str, consumer: str | None, caller: str | None
) -> records.Place:
    if state is not None:
        os.environ["STATE_DIRECTORY"] = str(state.absolute())
    try:
        return records.place_of(sound(config).plan, route, key, consumer, caller)
    except records.OutOfReachError as problem:
        raise _ended(problem) from None


def _do(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except (records.OutOfReachError, StoreError) as problem:
        raise _ended(problem) from None


def _ended(problem: Exception) -> typer.Exit:
    typer.echo(str(problem), err=True)
    return typer.Exit(1)
