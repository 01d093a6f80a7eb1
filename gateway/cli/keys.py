"""`sluicegate keys`: makes API keys. Writes nothing: the key goes to the screen once, its digest into the YAML by hand."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from dataclasses import dataclass
from typing import Annotated

import typer
from pydantic import ValidationError

from gateway.api.config import NAME
from gateway.api.settings.consumer import ApiKey
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption
from gateway.compile import compile_configuration
from gateway.compile.finding import suggestion

PREFIX = "sgk"  # lets secret scanners know one when they see it


@dataclass(frozen=True, slots=True)
class NewKey:
    """`key` is what the partner sends; `line` is what the configuration holds."""

    key: str
    line: str


def new_key(expires: str | None = None) -> NewKey:
    """A key of 256 random bits. Its id is part of it, so that a key found somewhere can be told without its digest.

    Raises ValueError when `expires` is neither a date nor a time, or has passed.
    """
    key_id = f"k{secrets.token_hex(4)}"
    key = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
    fields = {"id": key_id, "sha256": hashlib.sha256(key.encode("ascii")).hexdigest()}
    if expires is not None:
        fields["expires"] = expires
    try:
        checked = ApiKey.model_validate(fields)
    except ValidationError as exc:
        raise ValueError(exc.errors()[0]["msg"].removeprefix("Value error, ")) from exc
    if checked.expires is not None and checked.expires <= time.time():
        raise ValueError(f"{expires} has passed")
    written = ", ".join(
        f'{name}: "{value}"' if name == "expires" else f"{name}: {value}" for name, value in fields.items()
    )
    return NewKey(key, f"- {{{written}}}")


def command(app: typer.Typer) -> None:
    """Register `keys` on the application."""
    keys = typer.Typer(no_args_is_help=True, help="API keys of consumers.")
    app.add_typer(keys, name="keys")

    @keys.callback()
    def _group() -> None:
        """API keys of consumers."""

    @keys.command(
        "new", epilog="Example: sluicegate keys new acme --expires 2027-01-31", help="Make an API key, shown once."
    )
    def new(
        consumer: Annotated[str, typer.Argument(help="Name of the consumer, as under `consumers`.")],
        expires: Annotated[
            str | None, typer.Option(help="Last day (UTC) it is good, or a moment: 2027-01-31, 2027-01-31T12:00:00Z.")
        ] = None,
        config: ConfigOption = DEFAULT_CONFIG,
    ) -> None:
        if not re.fullmatch(NAME, consumer):
            raise typer.BadParameter(
                "a name has lower-case letters, digits, _ and -, at most 63", param_hint="CONSUMER"
            )
        try:
            made = new_key(expires)
        except ValueError as exc:
            raise typer.BadParameter(str(exc), param_hint="--expires") from exc
        plan = compile_configuration(config).plan
        if plan is not None and consumer not in plan.consumers:
            typer.echo(
                f"warning: {config} has no consumer '{consumer}'{suggestion(consumer, plan.consumers)}", err=True
            )
        typer.echo(f"The key for {consumer}. It is shown this once; hand it over on a safe way:\n\n  {made.key}\n")
        typer.echo(f"The line for `consumers: {consumer}: api_keys:`. It holds only the key's digest:\n\n  {made.line}")
