"""Before any load: is somebody there, has every caller a token, does each kind of call give what it should?"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path

import httpx
import websocket
import yaml

from gateway.demo.mainframe import CUSTOMERS
from gateway.demo.stock import ITEMS
from loadtests.load.known import FIRST_ORDER, Check, WrongAnswer, customer_of, order_of, parsed, product, same, stock_of
from loadtests.load.plan import Caller
from loadtests.scenarios import About

_REFERENCE = re.compile(r"\$\{env:(\w+)\}")
_FIELDS = {"name", "token", "token_url", "client_id", "client_secret", "noisy", "rate", "burst"}


class PreflightError(Exception):
    """Why no load was sent."""


def read_callers(path: Path) -> tuple[Caller, ...]:
    """A YAML list of callers, `${env:NAME}` filled in. Raises PreflightError."""
    try:
        text = path.read_text(encoding="utf-8")
        rows = yaml.safe_load(_REFERENCE.sub(lambda found: json.dumps(os.environ[found[1]])[1:-1], text))
    except OSError as problem:
        raise PreflightError(f"{path}: {problem.strerror}") from None
    except KeyError as missing:
        raise PreflightError(f"{path}: the environment has no {missing.args[0]}, which a caller needs") from None
    except yaml.YAMLError:
        raise PreflightError(f"{path}: no YAML") from None  # its own message would quote a token
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("name") for row in rows):
        raise PreflightError(
            f"{path}: write a list of {{name: …, token: …}} or {{name: …, token_url: …, client_id: …, client_secret: …}}"
        )
    for row in rows:
        if unknown := set(row) - _FIELDS:
            raise PreflightError(
                f"{path}: caller {row['name']}: unknown field {sorted(unknown)[0]}; there are {', '.join(sorted(_FIELDS))}"
            )
    return tuple(Caller(**row) for row in rows)


def check(host: str, callers: tuple[Caller, ...], about: About, fresh_tokens: str) -> tuple[Caller, ...]:
    """The callers; those of a token URL have shown that they get tokens. Raises PreflightError with the reason."""
    with httpx.Client(base_url=host, timeout=10.0, follow_redirects=False) as client:
        try:
            client.get("/status")
        except httpx.HTTPError as problem:
            raise PreflightError(f"{host} cannot be reached: {problem}") from None
        partners = [caller for caller in callers if not caller.noisy]
        noisy = [caller for caller in callers if caller.noisy]
        if not partners:
            raise PreflightError(
                "no caller has a token: name at least one in a file for --callers (loadtests/README.md)"
            )
        if about.noisy and not any(caller.rate > 0 for caller in noisy):
            raise PreflightError("needs a caller with `noisy: true` and the `rate` of its limit in the --callers file")
        if about.fresh_tokens and not fresh_tokens and not any(caller.token_url for caller in partners):
            raise PreflightError("needs callers with a token_url: each call comes with a new token")
        for caller in (*partners, *(noisy if about.noisy else ())):
            _one_call(client, "noisy" if caller.noisy else about.asks[0], caller)
        for kind in about.asks:
            _one_call(client, kind, noisy[0] if kind == "noisy" else partners[0])
    return callers


def _one_call(client: httpx.Client, kind: str, caller: Caller) -> None:
    try:
        _ASKED[kind](client, caller, _token(caller))
    except WrongAnswer as wrong:
        raise PreflightError(
            f"{kind}, as {caller.name}: {wrong}; is the upstream the one of loadtests/load/upstreams.py?"
        ) from None
    except httpx.HTTPError as problem:
        raise PreflightError(f"{kind}, as {caller.name}: {type(problem).__name__} {problem}") from None


def _token(caller: Caller) -> str:
    if not caller.token_url:
        if not caller.token:
            raise PreflightError(f"caller {caller.name} has neither a token nor a token_url")
        return caller.token
    try:
        answer = httpx.post(
            caller.token_url,
            data={"grant_type": "client_credentials"},
            auth=(caller.client_id, caller.client_secret),
            timeout=10.0,
        )
    except httpx.HTTPError as problem:
        raise PreflightError(f"caller {caller.name}: {caller.token_url} cannot be reached: {problem}") from None
    try:
        return str(answer.json()["access_token"])
    except (ValueError, KeyError, TypeError):
        raise PreflightError(
            f"caller {caller.name}: {caller.token_url} answered {answer.status_code} without access_token"
        ) from None


def _fields(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _get(path: str, right: Callable[[Caller], Check]) -> Callable[[httpx.Client, Caller, str], None]:
    def call(client: httpx.Client, caller: Caller, token: str) -> None:
        answer = client.get(path, headers=_fields(token))
        _status("GET", path, answer, 200)
        right(caller)(parsed(answer.text))

    return call


def _create(client: httpx.Client, caller: Caller, token: str) -> None:
    key = secrets.token_urlsafe(12)
    order = {"item": f"preflight/{key}", "quantity": 1}
    answer = client.post("/orders", json=order, headers={**_fields(token), "Idempotency-Key": f'"{key}"'})
    _status("POST", "/orders", answer, 201)
    order_of(order["item"])(parsed(answer.text))  # type: ignore[arg-type]  # the item is a text


def _events(client: httpx.Client, caller: Caller, token: str) -> None:
    with client.stream("GET", "/events", headers=_fields(token)) as answer:
        if answer.status_code == 200:
            line = next((line for line in answer.iter_lines() if line.startswith("data: ")), "data: ")
            same({"n": 0, "caller": caller.name}, "event")(parsed(line[6:]))
            return
        answer.read()
    _status("GET", "/events", answer, 200)


def _socket(client: httpx.Client, caller: Caller, token: str) -> None:
    address = "ws" + str(client.base_url).rstrip("/").removeprefix("http") + "/socket"
    try:
        held = websocket.create_connection(address, timeout=10, header=[f"Authorization: Bearer {token}"])
    except (websocket.WebSocketException, OSError) as problem:
        raise PreflightError(f"socket, as {caller.name}: no WebSocket at /socket: {problem}") from None
    try:
        held.send("0")
        if held.recv() != f"{caller.name}: 0":
            raise WrongAnswer("not what was said")
    finally:
        held.close()


def _status(method: str, path: str, answer: httpx.Response, expected: int) -> None:
    if answer.status_code == expected:
        return
    try:
        said = f" {answer.json()['code']}"
    except (ValueError, KeyError, TypeError):
        said = ""
    why = {401: "the token is refused", 403: "the caller may not", 404: "no such route or order"}.get(
        answer.status_code, ""
    )
    why = "the upstream fails" if answer.status_code in (502, 503, 504) else why
    raise PreflightError(
        f"{method} {path} answered {answer.status_code}{said}{f': {why}' if why else ''}; expected {expected}"
    )


_ITEM, _NUMBER = next(iter(ITEMS)), str(int(next(iter(CUSTOMERS))))
_ASKED: dict[str, Callable[[httpx.Client, Caller, str], None]] = {
    "orders": _get("/orders/1001", lambda caller: same(FIRST_ORDER, "order")),
    "noisy": _get("/orders/1001", lambda caller: same(FIRST_ORDER, "order")),
    "profile": _get(
        "/profile", lambda caller: same({"caller": caller.name}, "caller's profile (`name` is the token's subject)")
    ),
    "products": _get("/products/1", lambda caller: same(product(1), "product")),
    "stock": _get(f"/stock/{_ITEM}", lambda caller: stock_of(_ITEM)),
    "customers": _get(f"/customers/{_NUMBER}", lambda caller: customer_of(_NUMBER)),
    "create": _create,
    "events": _events,
    "socket": _socket,
}
