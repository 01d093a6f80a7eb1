"""A configuration that is shown holds references and no credentials."""

from __future__ import annotations

import pytest

from gateway.api.config import Secret
from gateway.compile import Compiler
from gateway.compile.masking import masked, merged
from gateway.compile.registry import Registry
from tests.unit.compile.conftest import Write


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("redis://cache:6379/0", "redis://cache:6379/0"),
        ("redis://:pw@cache:6379/0", "redis://***@cache:6379/0"),
        ("rediss://user:p/w@@cache/0", "rediss://***@cache/0"),
        ("redis+cluster://u:p@h1,h2", "redis+cluster://***@h1,h2"),
        (Secret("redis://:x@h/0", "redis://:${file:/run/x}@h/0"), "redis://***@h/0"),
        (Secret("redis://:x@h/0", "${env:REDIS_URL}"), "${env:REDIS_URL}"),
        (Secret("s3cret", "${env:TOKEN}"), "${env:TOKEN}"),
        (5, 5),
        (None, None),
        ({"a": [Secret("x", "${env:X}")]}, {"a": ["${env:X}"]}),
    ],
)
def test_values_are_shown_without_secrets(written: object, shown: object) -> None:
    assert masked(written) == shown


def test_files_are_shown_as_one_document() -> None:
    files = [
        {"version": 1, "routes": [1], "consumers": {"a": 1}},
        {"routes": [2], "consumers": {"b": 2, "a": 3}, "upstreams": {"u": 4}},
    ]
    assert merged(files) == {"version": 1, "routes": [1, 2], "consumers": {"a": 1, "b": 2}, "upstreams": {"u": 4}}


def test_a_compiled_configuration_shows_no_secret(
    write: Write, specs: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_TOKEN", "never-to-be-seen")
    compiled = Compiler(write('version: 1\nops: {token: "${env:OPS_TOKEN}"}'), specs).compile()
    assert compiled.document() == {"version": 1, "ops": {"token": "${env:OPS_TOKEN}"}}
    assert compiled.plan is not None
    assert str(compiled.plan.settings.ops.token) == "never-to-be-seen"
    assert "never-to-be-seen" not in repr(compiled)


@pytest.mark.parametrize(
    "text",
    [
        'issuers: {x: {issuer: "${env:OPS_TOKEN}", audience: a}}',
        'upstreams: {x: {targets: ["${env:OPS_TOKEN}"]}}',
        'upstreams: {"x": {targets: ["http://x"], timeout: "${env:OPS_TOKEN}", balance: "${env:OPS_TOKEN}"}}',
        'listen: {port: "${env:OPS_TOKEN}"}',
        'routes: [{name: x, match: {path: "${env:OPS_TOKEN}", host: "${env:OPS_TOKEN}"}, public: true, respond: {}}]',
        'routes: [{name: x, match: {path: "/${env:OPS_TOKEN}{"}, public: true, upstream: "${env:OPS_TOKEN}"}]',
        'consumers: {x: {tier: "${env:OPS_TOKEN}", ip_allow: ["${env:OPS_TOKEN}"]}}',
        'proxy: {trusted: ["${env:OPS_TOKEN}"]}',
        'store: "${env:OPS_TOKEN}"',
    ],
)
def test_no_finding_shows_what_a_reference_stands_for(
    write: Write, specs: Registry, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("OPS_TOKEN", "never-to-be-seen")
    compiled = Compiler(write(f"version: 1\n{text}"), specs).compile()
    assert compiled.errors
    assert "never-to-be-seen" not in "\n".join(map(str, compiled.findings))
