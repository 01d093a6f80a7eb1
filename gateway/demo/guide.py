"""What the demo prints: calls to paste, each with what it shows. Starts nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of a running demo are."""

    gateway: str
    ops: str
    issuer: str
    folder: Path
    api_key: str

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def access_log(self) -> Path:
        return self.folder / "access.log"

    @property
    def token_script(self) -> Path:
        return self.folder / "token"


@dataclass(frozen=True, slots=True)
class Call:
    """One command for sh. `shows` begins with the status that its last answer has, where it is a call of the gateway."""

    shows: str
    command: str


def calls(places: Places) -> Iterator[Call]:
    """Each works by itself, in any order, and again."""
    at = places.gateway
    curl = "curl -si -w '\\n'"

    def bearer(client: str) -> str:
        return f'-H "Authorization: Bearer $(sh {quote(str(places.token_script))} {client})"'

    order = """-H 'Content-Type: application/json' -d '{"item": "stop log", "quantity": 4}'"""
    yield Call("200: an order, for a partner with a good token", f"{curl} {bearer('acme')} {at}/orders/1001")
    yield Call("401: the same without a token", f"{curl} {at}/orders/1001")
    yield Call(
        "201: a new order, by a client with the scope orders:write", f"{curl} {bearer('acme')} {order} {at}/orders"
    )
    yield Call(
        "201: one order sent twice under one key: the second answer is the first, and says Idempotency-Replayed",
        f'T="$(sh {quote(str(places.token_script))} acme)"; K="order-$(date +%s)"; '
        f'for n in 1 2; do {curl} -H "Authorization: Bearer $T" -H "Idempotency-Key: $K" {order} {at}/orders; done',
    )
    yield Call("403: the same by a client that may only read", f"{curl} {bearer('acme-reports')} {order} {at}/orders")
    yield Call(
        "429: five quick calls by a partner whose tier holds three; the last with its headers",
        f'T="$(sh {quote(str(places.token_script))} rocket)"; '
        f"for n in 1 2 3 4; do curl -s -o /dev/null -w '%{{http_code}}\\n' -H \"Authorization: Bearer $T\" {at}/orders; done; "
        f'{curl} -H "Authorization: Bearer $T" {at}/orders',
    )
    yield Call("200: a machine with an API key", f"{curl} -H 'X-API-Key: {places.api_key}' {at}/warehouse/orders")
    yield Call("200: JSON from a SOAP service", f"{curl} {bearer('acme')} {at}/stock/penstock")
    yield Call("404: its fault, as a problem", f"{curl} {bearer('acme')} {at}/stock/unicorn")
    yield Call("200: JSON from EBCDIC records of a mainframe, over TCP", f"{curl} {bearer('acme')} {at}/customers/42")
    yield Call("404: its return code, as a problem", f"{curl} {bearer('acme')} {at}/customers/7")
    yield Call("422: what does not fit the record", f"{curl} {bearer('acme')} {at}/customers/none")
    yield Call("404: no route answers here", f"{curl} {at}/nothing/here")


def inspections(places: Places) -> Iterator[Call]:
    config = quote(str(places.config))
    yield Call("the access log", f"tail -n 5 {quote(str(places.access_log))}")
    yield Call("metrics", f"curl -s {places.ops}/metrics | grep -E 'sluicegate_(requests_total|workers_alive)'")
    yield Call("health, and what is served", f"curl -s {places.ops}/readyz; curl -s {places.ops}/config")
    yield Call("connections to the upstreams", f"curl -s {places.ops}/upstreams")
    yield Call("the configuration; edit it, and see what changes", f"cat {config}/gateway.yaml")
    yield Call("a reload by hand (200, or 422 with every finding)", f"curl -si -X POST {places.ops}/reload")
    yield Call("a token, as the issuer gives it", f"sh {quote(str(places.token_script))} acme")


def guide(places: Places) -> str:
    lines = [
        "Sluicegate demo",
        "",
        f"  gateway   {places.gateway}",
        f"  ops port  {places.ops}",
        f"  issuer    {places.issuer}",
        f"  folder    {places.folder}",
        "",
        "Paste into another terminal, in any order:",
        "",
        *_listed(list(calls(places))),
        "What the gateway says of itself:",
        "",
        *_listed(list(inspections(places))),
        "Ctrl-C ends the demo and removes its folder.",
    ]
    return "\n".join(lines)


def _listed(listed: Sequence[Call]) -> Iterator[str]:
    for call in listed:
        yield f"  # {call.shows}"
        yield f"  {call.command}"
        yield ""
