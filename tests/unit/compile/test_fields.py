"""Fields that are written into a message as the configuration has them: what would break the message is an error."""

from __future__ import annotations

import pytest

from tests.unit.compile.conftest import CompileText

RESPOND = """
version: 1
routes: [{name: x, match: {path: /}, public: true, respond: {%s}}]
"""
UPSTREAM = """
version: 1
upstreams: {up: {targets: ["http://up:1"], %s}}
routes: [{name: x, match: {path: /}, public: true, upstream: up}]
"""


@pytest.mark.parametrize(
    ("respond", "key", "word"),
    [
        ("headers: {Transfer-Encoding: chunked}", "headers.Transfer-Encoding", "single connection"),
        ("headers: {content-length: '3'}", "headers.content-length", "single connection"),
        ("headers: {Connection: close}", "headers.Connection", "single connection"),
        ("headers: {X Y: z}", "headers.X Y", "not a header's name"),
        ("headers: {Xé: z}", "headers.Xé", "not a header's name"),
        ('headers: {X: "a\\r\\nY: b"}', "headers.X", "not a header's value"),
        ("headers: {X: '€'}", "headers.X", "not a header's value"),
        ("headers: {X: ' a'}", "headers.X", "not a header's value"),
        ("status: 204, body: x", "body", "a 204 has no body"),
        ("status: 205, body: {}", "body", "a 205 has no body"),
        ("status: 304, body: x", "body", "a 304 has no body"),
    ],
)
def test_what_a_response_cannot_be(compiled: CompileText, respond: str, key: str, word: str) -> None:
    findings = compiled(RESPOND % respond).findings
    assert [each.level for each in findings] == ["error"]
    assert str(findings[0]).split(": ")[2] == f"routes.x.respond.{key}"
    assert word in findings[0].message


@pytest.mark.parametrize("respond", ["headers: {X: 'é, a\tb', Y: ''}", "status: 204", "status: 304, body: ''"])
def test_what_it_can_be(compiled: CompileText, respond: str) -> None:
    assert compiled(RESPOND % respond).findings == ()


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ('auth: {headers: {Transfer-Encoding: "${env:HOW}"}}', "single connection"),
        ('auth: {headers: {Authorization: "${env:BROKEN}"}}', "not a header's value"),
        ("host: a b", "write upstream, client, or the Host"),
        ('host: "a\\r\\nX: b"', "write upstream, client, or the Host"),
        ("host: bücher.example", "write upstream, client, or the Host"),
    ],
)
def test_what_an_upstream_cannot_be_sent(
    compiled: CompileText, monkeypatch: pytest.MonkeyPatch, more: str, word: str
) -> None:
    monkeypatch.setenv("HOW", "chunked")
    monkeypatch.setenv("BROKEN", "Bearer secret\nX: y\n")
    findings = compiled(UPSTREAM % more).findings
    assert [each.level for each in findings] == ["error"]
    assert word in findings[0].message
    assert "secret" not in str(findings[0])


@pytest.mark.parametrize("host", ["client", "api.example", "api_1.example:8443", "'[::1]:80'"])
def test_hosts(compiled: CompileText, host: str) -> None:
    assert compiled(UPSTREAM % f"host: {host}").findings == ()
