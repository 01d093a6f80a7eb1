"""check, schema, routes and explain, as a person types them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import typer
from typer.testing import CliRunner

from gateway.cli import check, explain, routes, schema

GATEWAY = """
version: 1
issuers: {idp: {issuer: "https://idp.example", audience: orders, jwks: jwks.json, unknown_consumer: refuse}}
tiers: {gold: {rate: 5/s, burst: 10}}
consumers: {acme: {tier: gold, client_ids: [acme], ip_allow: [10.0.0.0/8], limits: {routes: {get-order: {rate: 1/s}}}}}
upstreams: {orders: {targets: ["http://orders:80"]}}
global: {policies: {ip_allow: {deny: [192.0.2.0/24]}}}
defaults: {policies: {oauth2: {issuer: idp}}}
routes:
  - name: get-order
    match: {method: GET, host: api.example, path: "/orders/{id}", headers: {X-Kind: "/^a/"}}
    upstream: orders
    policies: {rate_limit: {per: consumer}}
  - {name: status, match: {path: /status, method: GET}, public: true, respond: {}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gateway.yaml").write_text(GATEWAY)
    (tmp_path / "jwks.json").write_text('{"keys": []}')
    return tmp_path


def run(*arguments: str | Path, config: Path | None = None) -> tuple[int, str]:
    app = typer.Typer()
    for module in (check, schema, routes, explain):
        module.command(app)
    environment = {"SLUICEGATE_CONFIG": str(config) if config else "", "COLUMNS": "200"}
    result = CliRunner().invoke(app, [str(each) for each in arguments], env=environment)
    return result.exit_code, result.output


def test_check_says_what_was_compiled(folder: Path) -> None:
    status, text = run("check", folder)
    assert status == 0
    assert "2 routes, 1 upstream, 1 consumer; 0 errors, 0 warnings" in text
    assert run("check", "--config", folder)[0] == run("check", config=folder)[0] == 0


def test_check_ends_with_1_on_errors_and_strictly_on_warnings(folder: Path) -> None:
    (folder / "routes").mkdir()
    extra = folder / "routes" / "extra.yaml"
    extra.write_text('upstreams: {unused: {targets: ["http://x:1"]}}')
    assert run("check", folder)[0] == 0
    assert run("check", folder, "--strict")[0] == 1
    extra.write_text("upstreams: {unused: {target: x}}")
    status, text = run("check", folder)
    assert status == 1
    assert "routes/extra.yaml:1:22: error: upstreams.unused.target: unknown field; did you mean 'targets'?" in text


def test_check_ends_with_2_where_there_is_nothing_to_read(tmp_path: Path) -> None:
    status, text = run("check", tmp_path)
    assert status == 2
    assert "no gateway.yaml" in text


def test_check_prints_json(folder: Path) -> None:
    document = orjson.loads(run("check", folder, "--format", "json")[1])
    assert (document["routes"], document["findings"]) == (2, [])
    (folder / "gateway.yaml").write_text("version: 2")
    document = orjson.loads(run("check", folder, "--format", "json")[1])
    assert document["version"] is None
    assert {"file", "line", "column", "level", "path", "message"} == set(document["findings"][0])


def test_schema_prints_a_schema() -> None:
    status, text = run("schema")
    assert status == 0
    assert orjson.loads(text)["title"] == "Sluicegate configuration"


def test_routes_prints_the_table(folder: Path) -> None:
    status, text = run("routes", "--config", folder)
    assert status == 0
    rows = [line.split() for line in text.splitlines()]
    assert ["get-order", "GET", "api.example", "/orders/{id}", "oauth2", "orders", "gateway.yaml:10:5"] in rows
    assert ["status", "GET", "any", "/status", "public", "responds", "200", "gateway.yaml:14:5"] in rows
    assert ["X-Kind:", "/^a/"] in rows


def test_a_configuration_with_errors_has_no_table(folder: Path) -> None:
    (folder / "gateway.yaml").write_text("version: 2")
    status, text = run("routes", "--config", folder)
    assert status == 2
    assert "gateway.yaml:1:10: error: version" in text


def test_explain_shows_the_policies_in_order_with_their_lines(folder: Path) -> None:
    status, text = run(
        "explain",
        "GET",
        "https://API.example:443/orders/7?x=1",
        "-H",
        "X-Kind: abc",
        "--consumer",
        "acme",
        "--config",
        folder,
    )
    assert status == 0
    assert "get-order    gateway.yaml:10:5" in text
    assert "{id} = 7" in text
    assert "http://orders:80" in text
    order = [line.split()[:2] for line in text.partition("meets them\n")[2].splitlines()]
    assert order[:4] == [["edge", "ip_allow"], ["edge", "timeout"], ["authenticate", "oauth2"], ["limit", "rate_limit"]]
    assert "global, gateway.yaml:7:21" in text
    assert "acme, tier gold" in text
    assert "rate 5 per 1 s, burst 10" in text
    assert "on this route: rate 1 per 1 s, burst 1" in text


def test_explain_ends_with_1_where_no_route_answers(folder: Path) -> None:
    assert run("explain", "GET", "/nowhere", "--config", folder) == (1, "404: no route\n")
    status, text = run("explain", "PUT", "/status", "--config", folder)
    assert (status, text) == (1, "405: no route takes PUT there; allowed are GET, HEAD\n")
    _, text = run("explain", "get", "/status", "--config", folder)
    assert text == "405: no route takes get there; allowed are GET, HEAD; methods are written in capitals\n"
    assert run("explain", "GET", "http://api.example/orders/7", "--config", folder)[0] == 1  # the header is missing


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("GET", "/\\x"), "400"),
        (("GET", "/status", "--consumer", "nobody"), "no consumer"),
        (("GET", "/status", "-H", "nonsense"), "no header"),
    ],
)
def test_explain_refuses_what_makes_no_sense(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    status, text = run("explain", *arguments, "--config", folder)
    assert status == 2
    assert words in text


def test_explain_asks_the_issuers_about_a_token(folder: Path) -> None:
    (folder / "token").write_text("no.such.token")
    request = ("explain", "GET", "http://api.example/orders/7", "-H", "X-Kind: a")
    status, text = run(*request, "--token-file", folder / "token", "--config", folder)
    assert status == 0
    assert "no issuer accepts it" in text
    status, text = run("explain", "GET", "/status", "--token-file", folder / "token", "--config", folder)
    assert "asks for no token" in text


def test_nothing_that_is_printed_shows_a_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTREAM_KEY", "never-to-be-seen")
    text = GATEWAY.replace(
        "public: true, respond: {}}",
        'public: true, respond: {headers: {X-Key: "${env:UPSTREAM_KEY}"}},'
        ' policies: {headers: {request: {set: {X-Key: "${env:UPSTREAM_KEY}"}}}}}',
    ).replace("headers: {X-Kind: ", 'headers: {X-Secret: "${env:UPSTREAM_KEY}", X-Kind: ')
    (folder / "gateway.yaml").write_text(text)
    for command in (("explain", "GET", "/status", "--consumer", "acme"), ("routes",), ("check",)):
        status, printed = run(*command, "--config", folder)
        assert status == 0, printed
        assert "never-to-be-seen" not in printed
    assert "${env:UPSTREAM_KEY}" in run("explain", "GET", "/status", "--config", folder)[1]
