"""Whatever stands in a configuration, compiling it gives findings: it never raises, and never says nothing."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from copy import deepcopy
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.compile import compile_configuration

WHOLE: dict[str, Any] = {
    "version": 1,
    "listen": [{"port": 8080, "path": {"double_slash": "merge"}}],
    "ops": {"port": 9090},
    "proxy": {"trusted": ["10.0.0.0/8"], "header": "forwarded"},
    "stores": {"fast": "memory", "slow": "memory"},
    "store": "fast",
    "issuers": {"idp": {"issuer": "https://idp.example", "audience": ["a"], "tier": "gold"}},
    "tiers": {"gold": {"rate": "5/s", "burst": 10}, "silver": {"rate": "1/s"}},
    "roles": {"clerk": {"one": ["GET"], "two": "all"}},
    "consumers": {
        "acme": {
            "tier": "gold",
            "client_ids": ["x"],
            "tokens": [{"issuer": "idp", "client_id": "y"}],
            "api_keys": [{"id": "k", "sha256": "0" * 64, "expires": "2030-01-01"}],
            "roles": ["clerk"],
            "limits": {"rate": "1/s", "routes": {"one": {"rate": "2/s"}}},
        },
        "rocket": {"tier": "silver", "client_ids": ["z"]},
    },
    "upstreams": {
        "up": {
            "targets": ["http://up:1", {"url": "http://up:2", "weight": 2}],
            "timeout": "2s",
            "policies": {"timeout": {}, "retry": {}},
        },
        "down": {"targets": ["http://down:1"]},
    },
    "global": {"policies": {"ip_allow": {"deny": ["192.0.2.0/24"]}}},
    "defaults": {"policies": {"oauth2": {"issuer": "idp"}}, "upstream": {"connections": {"max": 5}}},
    "routes": [
        {
            "name": "one",
            "match": {"method": "GET", "path": "/one/{id}", "headers": {"X": "/a/"}, "query": {"q": "1"}},
            "upstream": "up",
            "rewrite": {"path": "/x/{id}"},
            "policies": {
                "rate_limit": [{"per": "consumer"}, {"name": "ip", "per": "ip", "rate": "5/s"}],
                "api_key": {},
                "auth": {"any": ["oauth2", "api_key"]},
                "headers": {"request": {"set": {"X-A": "{path.id}"}}},
            },
        },
        {"name": "two", "match": {"path": "/two"}, "public": True, "respond": {"body": {"ok": True}}},
    ],
}


def places(value: object, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield from places(below, (*at, key))


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(
        ["${env:NOT_SET}", "${file:/}", "${x", "*", "&", "off", "{", "{{", "/", "a" * 300, "\u0000", "5s", "é"]
    ),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just({"": None}),
    st.just({"name": 5}),
    st.just([[{}]]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(places(WHOLE), key=str)), JUNK), min_size=1, max_size=3))
def test_junk_anywhere_gives_findings_or_a_plan(changes: list[tuple[tuple[Any, ...], object]]) -> None:
    document = deepcopy(WHOLE)
    for path, junk in changes:
        value: Any = document
        for key in path[:-1]:
            known = isinstance(value, dict) and key in value
            value = (
                value[key] if known or (isinstance(value, list) and isinstance(key, int) and key < len(value)) else None
            )
        if isinstance(value, dict) or (isinstance(value, list) and isinstance(path[-1], int) and path[-1] < len(value)):
            value[path[-1]] = deepcopy(junk)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "gateway.yaml").write_text(json.dumps(document))
        compiled = compile_configuration(folder)
    assert (compiled.plan is None) == bool(compiled.errors)
    assert all(finding.line >= 1 for finding in compiled.findings)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab:{}[]-&*!|>'\"#%@`, \n\t?0$~.", max_size=40))
def test_any_text_gives_findings(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "gateway.yaml").write_text(text)
        compiled = compile_configuration(folder)
    assert compiled.plan is None
    assert compiled.errors


def test_a_key_that_is_no_text_is_an_error_wherever_it_stands(tmp_path: Path) -> None:
    keys = [path for path in places(WHOLE) if isinstance(path[-1], str)]
    for path, wrong in zip(keys, cycle((1, True, None, 2.5)), strict=False):
        document: Any = deepcopy(WHOLE)
        value = document
        for key in path[:-1]:
            value = value[key]
        value[wrong] = value.pop(path[-1])
        (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(document))
        compiled = compile_configuration(tmp_path)
        assert compiled.errors, path
        assert all(finding.line >= 1 for finding in compiled.findings)


def errors_of_upstream(folder: Path, upstream: dict[str, Any]) -> list[str]:
    (folder / "gateway.yaml").write_text(json.dumps({"version": 1, "upstreams": {"up": upstream}}))
    return [str(finding) for finding in compile_configuration(folder).errors]


@pytest.mark.parametrize(
    "upstream",
    [
        *({"targets": [f"http://{host}:1"]} for host in ("a..b", "x" * 64, "a b", "*.x", "a%41", "bü..x")),
        *({"targets": ["http://x:1"], "host": host} for host in ("bücher", "a b", "a\r\nX: 1", "a/b")),
    ],
)
def test_hosts_that_no_worker_could_take_are_found_before(tmp_path: Path, upstream: dict[str, Any]) -> None:
    assert errors_of_upstream(tmp_path, upstream)


@pytest.mark.parametrize("host", ["bücher.example", "my_service", "[::1]", "a.example."])
def test_hosts_that_are_fine(tmp_path: Path, host: str) -> None:
    assert errors_of_upstream(tmp_path, {"targets": [f"http://{host}:1"], "host": "[::1]:8080"}) == []


def test_what_no_upstream_can_be_told_is_found_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLIT", "hush\r\nX: 1")
    monkeypatch.setenv("WHOLE", " hush\n")
    secret = "${env:WHOLE}"
    client = {"client_id": "gw", "client_secret": secret}
    for auth in (
        {"headers": {"X-Key": "${env:SPLIT}", "X-Fine": secret}},
        {"oauth2": {"token_url": "idp/token", **client}},
        {"exchange": {"token_url": "ftp://idp", "audience": "a", **client}},
    ):
        (found,) = errors_of_upstream(tmp_path, {"targets": ["http://x:1"], "auth": auth})
        assert "upstreams.up.auth." in found
        assert "hush" not in found


def test_a_merge_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("version: 1\nlog: &quiet {access: off}\ndrain: {<<: *quiet}\n")
    assert any("merge keys are not YAML 1.2" in finding.message for finding in compile_configuration(tmp_path).errors)


def test_an_ops_token_that_no_client_can_send_is_found_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "schlüssel")
    (tmp_path / "gateway.yaml").write_text('version: 1\nops: {token: "${env:TOKEN}"}\n')
    (found,) = compile_configuration(tmp_path).errors
    assert "no client can send" in found.message
    assert "schl" not in found.message


@pytest.mark.parametrize("jwks", ["https://idp:99999/keys", "https:///keys", "http://[idp/keys"])
def test_a_url_of_keys_that_nobody_can_be_asked_by_is_found(tmp_path: Path, jwks: str) -> None:
    issuer = {"issuer": "https://idp.example", "audience": "orders", "jwks": jwks}
    (tmp_path / "gateway.yaml").write_text(json.dumps({"version": 1, "issuers": {"partners": issuer}}))
    assert any("issuers.partners.jwks" in str(finding) for finding in compile_configuration(tmp_path).errors)
