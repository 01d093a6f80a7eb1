"""`sluicegate explain`: which route answers a request, and what applies to it, each with the line it comes from."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from gateway.api.errors import RequestRefused
from gateway.api.messages import Headers
from gateway.cli.explained import explained_consumer, explained_miss, explained_route
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, sound
from gateway.compile.plan import Plan, RoutePlan
from gateway.http.host import parse_authority
from gateway.http.target import PathRules, normal_path
from gateway.routing import Match, Miss, build_table, of_route
from gateway.runtime.consumers import ConsumerTable
from gateway.runtime.fetch import HttpFetch
from gateway.runtime.resources import SystemClock
from policies.api_key.config import ApiKeyBlock
from policies.api_key.explain import explain_key
from policies.oauth2.config import OAuth2Block
from policies.oauth2.core import Demands
from policies.oauth2.explain import explain_token


def command(app: typer.Typer) -> None:
    """Register `explain` on the application."""

    @app.command(
        "explain",
        epilog="Example: sluicegate explain POST https://api.example/orders -H 'Content-Type: application/json' --consumer acme",
    )
    def explain(
        method: Annotated[str, typer.Argument(help="The request's method.")],
        url: Annotated[str, typer.Argument(help="Its URL, or only its path.")],
        header: Annotated[
            list[str] | None, typer.Option("-H", "--header", metavar="'NAME: VALUE'", help="A header field.")
        ] = None,
        consumer: Annotated[
            str | None, typer.Option(metavar="NAME", help="Shows this consumer's limits there.")
        ] = None,
        token_file: Annotated[
            Path | None,
            typer.Option(
                metavar="FILE", exists=True, dir_okay=False, help="Says who accepts the token or API key in this file."
            ),
        ] = None,
        config: ConfigOption = DEFAULT_CONFIG,
    ) -> None:
        """Show which route answers a request, and which policies apply in which order.

        Ends with 0, with 1 when no route answers.
        """
        configuration = sound(config)
        plan = configuration.plan
        match = _match(plan, method, url, _headers(header or []))
        if isinstance(match, Miss):
            typer.echo(explained_miss(match, method))
            raise typer.Exit(1)
        typer.echo(configuration.hide(explained_route(plan, match.route, match.params)))
        if consumer is not None:
            known = plan.consumers.get(consumer)
            if known is None:
                raise typer.BadParameter(f"there is no consumer '{consumer}'", param_hint="--consumer")
            typer.echo(configuration.hide(explained_consumer(known.consumer, match.route)))
        if token_file is not None:
            typer.echo(f"\ntoken\n{asyncio.run(_about_token(plan, match.route, token_file.read_bytes()))}")


def _match(plan: Plan, method: str, url: str, headers: Headers) -> Match[RoutePlan] | Miss:
    """The table's own answer: there is no second opinion on what matches."""
    try:
        parts = urlsplit(url)
    except ValueError as problem:
        raise typer.BadParameter(f"not a URL: {problem}", param_hint="URL") from None
    path_rules = plan.settings.listen[0].path
    authority = parts.netloc.rpartition("@")[2] or (headers.get(b"host") or b"localhost").decode("latin-1")
    try:
        host = parse_authority(authority.encode("latin-1", "replace")).host
        raw = (parts.path or "/").encode("utf-8")
        path = normal_path(raw, PathRules(path_rules.encoded_slash, path_rules.double_slash))
    except RequestRefused as refused:
        raise typer.BadParameter(f"the gateway answers {refused.status} {refused.code}: {refused.detail}") from None
    table = build_table((of_route(route.config), route) for route in plan.routes.values())
    return table.match(host, path, method, headers, parts.query.encode("utf-8"))


def _headers(written: list[str]) -> Headers:
    fields = Headers()
    for each in written:
        name, colon, value = each.partition(":")
        if not colon or not name.strip():
            raise typer.BadParameter(f"'{each}' is no header; write 'Name: value'", param_hint="-H")
        fields.add(name.strip().lower().encode("latin-1", "replace"), value.strip().encode("latin-1", "replace"))
    return fields


async def _about_token(plan: Plan, route: RoutePlan, token: bytes) -> str:
    consumers, clock, lines = ConsumerTable.of(plan.consumers), SystemClock(), []
    configs = [each.config for each in route.policies]
    if any(isinstance(config, ApiKeyBlock) for config in configs):
        lines.append(explain_key(consumers, token, clock.time()))
    for config in configs:
        if isinstance(config, OAuth2Block):
            issuers = {name: plan.issuers[name] for name in config.issuer}
            fetch = HttpFetch()
            try:
                said = await explain_token(
                    issuers, consumers, token, fetch=fetch, clock=clock, demands=Demands.of(config)
                )
            finally:
                await fetch.close()
            lines.append(said)
    return "\n".join(lines) or "this route asks for no token and no key"
