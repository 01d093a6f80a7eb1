"""TLS as callers meet it: what is spoken, whom certificates name, which proxies are believed, where plain text is sent."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trustme

from tests.wire.certificates import Partner, authority_file, partner, revoke, server_files, tls_caller, trusting
from tests.wire.conftest import Perform
from tests.wire.plays import Answer, Broken, Caller, Stage, holds, perform

GET = b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n"
WITH_MTLS = {"name": "all", "match": {"path": "/**"}, "upstream": "orders", "policies": {"mtls": {}}}
PROXY = {"trusted": ["127.0.0.0/8"], "header": "x-forwarded-for"}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def acme(authority: trustme.CA) -> Partner:
    return partner(authority, "acme")


async def ask(stage: Stage, context: ssl.SSLContext, name: str = "api.example", raw: bytes = GET) -> Answer:
    """The answer on a connection of its own. Raises Broken or OSError when the handshake ends early."""
    caller = await tls_caller(stage.gateway.listeners[0].port, context, name)
    await caller.send(raw)
    try:
        return await caller.answer()
    finally:
        caller.close()


async def lines(stage: Stage, number: int) -> list[dict[str, Any]]:
    """The access log, once it has so many lines: a thread writes them, in its time."""
    file = stage.folder / "access.log"
    assert stage.plane._access_log is not None
    await stage.quiet()
    stage.plane._access_log.flush()
    await holds(lambda: file.read_bytes().count(b"\n") >= number)
    return [json.loads(line) for line in file.read_text().splitlines()]


def with_tls(
    tmp_path: Path, authority: trustme.CA, consumers: dict[str, Any], **tls: Any
) -> Callable[..., dict[str, Any]]:
    """What of a configuration has a listener with client certificates and these consumers."""
    certificates = [server_files(tmp_path, authority, name) for name in ("api.example", "second.example")]
    for entry in certificates:
        entry |= {what: str(tmp_path / file) for what, file in entry.items()}
    tls = {"client_cert": "optional", "client_ca": str(tmp_path / authority_file(tmp_path, authority)), **tls}
    return lambda **more: {
        "listen": {"tls": {"certificates": certificates, **tls}},
        "consumers": consumers,
        "routes": [WITH_MTLS],
        **more,
    }


def test_tls_1_1_is_refused(play: Perform, tmp_path: Path, authority: trustme.CA) -> None:
    async def scene(stage: Stage) -> None:
        context = trusting(authority)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionResetError)) as refused:
            await ask(stage, context)
        # the gateway's word, and not that of a client that could not even ask
        alerts = ("TLSV1_ALERT_PROTOCOL_VERSION", "SSLV3_ALERT_HANDSHAKE_FAILURE")
        assert getattr(refused.value, "reason", alerts[0]) in alerts

    files = server_files(tmp_path, authority, "api.example")
    play(scene, listen={"tls": {"certificates": [{what: str(tmp_path / file) for what, file in files.items()}]}})


@pytest.mark.parametrize(
    ("ciphers", "refused"),
    [("ECDHE+AESGCM", False), ("ECDHE+CHACHA20", False), ("ECDHE+AES:!AESGCM:!AESCCM", True), ("kRSA", True)],
)
def test_tls_1_2_has_forward_secrecy_and_authenticated_encryption_or_none(
    play: Perform, tmp_path: Path, authority: trustme.CA, ciphers: str, *, refused: bool
) -> None:
    """RFC 9325 §4.1 and §4.2."""

    async def scene(stage: Stage) -> None:
        context = trusting(authority)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)
        if not refused:
            assert (await ask(stage, context)).status == 200
            return
        with pytest.raises((ssl.SSLError, ConnectionResetError)) as broken:
            await ask(stage, context)
        alert = "SSLV3_ALERT_HANDSHAKE_FAILURE"
        assert getattr(broken.value, "reason", alert) == alert

    files = server_files(tmp_path, authority, "api.example")
    play(
        scene,
        listen={"tls": {"certificates": [{what: str(tmp_path / file) for what, file in files.items()}]}},
        routes=[{"name": "all", "match": {"path": "/**"}, "public": True, "respond": {"status": 200}}],
    )


def test_a_certificate_names_its_consumer(tmp_path: Path, authority: trustme.CA, acme: Partner) -> None:
    async def scene(stage: Stage) -> None:
        assert (await ask(stage, trusting(authority, acme))).status == 200
        assert (await ask(stage, trusting(authority, partner(authority, "rocket")))).status == 200
        stranger = await ask(stage, trusting(authority, partner(authority, "nobody")))
        assert (stranger.status, stranger.problem["code"]) == (403, "consumer.unknown")
        nothing = await ask(stage, trusting(authority))
        assert (nothing.status, nothing.problem["code"]) == (401, "mtls.missing")
        assert nothing.get(b"www-authenticate") == [b'ClientCertificate realm="sluicegate"']
        forged = GET.replace(b"\r\n\r\n", b"\r\nClient-Cert: :%b:\r\n\r\n" % base64.b64encode(acme.der))
        assert (await ask(stage, trusting(authority), raw=forged)).problem["code"] == "mtls.missing"
        assert [line["consumer"] for line in await lines(stage, 5)] == ["acme", "rocket", "", "", ""]
        assert all(b"client-cert" not in request for request in stage.upstream.requests)

    consumers = {
        "acme": {"certificates": [{"sha256": acme.sha256}]},
        "rocket": {"certificates": [{"subject": "CN=rocket, OU=Orders, O=Acme Ltd"}]},
    }
    perform("uvicorn", scene, **with_tls(tmp_path, authority, consumers)())


def test_a_certificate_of_a_stranger_or_none_ends_the_handshake(
    tmp_path: Path, authority: trustme.CA, acme: Partner
) -> None:
    async def scene(stage: Stage) -> None:
        assert (await ask(stage, trusting(authority, acme))).status == 200
        for showing in (None, partner(trustme.CA(), "acme")):
            with pytest.raises((Broken, OSError)):
                await ask(stage, trusting(authority, showing))
        assert len(stage.upstream.requests) == 1

    consumers = {"acme": {"certificates": [{"subject": "CN=acme,OU=Orders,O=Acme Ltd"}]}}
    perform("uvicorn", scene, **with_tls(tmp_path, authority, consumers, client_cert="required")())


@pytest.mark.parametrize("name", ["api.example", "second.example"])
def test_a_revoked_certificate_ends_the_handshake(
    name: str, tmp_path: Path, authority: trustme.CA, acme: Partner
) -> None:
    revoked = partner(authority, "acme")

    async def scene(stage: Stage) -> None:
        assert (await ask(stage, trusting(authority, acme), name)).status == 200
        assert (await ask(stage, trusting(authority), name)).status == 401
        with pytest.raises((Broken, OSError)):
            await ask(stage, trusting(authority, revoked), name)

    consumers = {"acme": {"certificates": [{"subject": "CN=acme,OU=Orders,O=Acme Ltd"}]}}
    crl = str(tmp_path / revoke(tmp_path, authority, [revoked]))
    perform("uvicorn", scene, **with_tls(tmp_path, authority, consumers, client_crl=crl)())


def test_the_upstream_sees_the_certificate_when_told(tmp_path: Path, authority: trustme.CA, acme: Partner) -> None:
    async def scene(stage: Stage) -> None:
        context = trusting(authority, acme)
        caller = await tls_caller(stage.gateway.listeners[0].port, context)
        for _ in range(2):
            await caller.send(GET.replace(b"\r\n\r\n", b"\r\nClient-Cert: :AAAA:\r\n\r\n"))
            assert (await caller.answer()).status == 200
        caller.close()
        line = b"\r\nclient-cert: :%b:\r\n" % base64.b64encode(acme.der)
        assert [request.count(b"client-cert") for request in stage.upstream.requests] == [1, 1]
        assert all(line in request for request in stage.upstream.requests)

    document = with_tls(tmp_path, authority, {"acme": {"certificates": [{"sha256": acme.sha256}]}})
    perform("uvicorn", scene, **document(routes=[{**WITH_MTLS, "policies": {"mtls": {"forward": True}}}]))


def written(header: str, one: Partner) -> bytes:
    if header == "client-cert":
        return b"Client-Cert: :%b:" % base64.b64encode(one.der)
    return b'X-Forwarded-Client-Cert: By=spiffe://gateway;Hash=00;Cert="%b"' % quote(one.pem, safe="").encode()


@pytest.mark.parametrize("header", ["client-cert", "xfcc"])
def test_a_trusted_proxy_names_the_certificate(
    play: Perform, header: str, authority: trustme.CA, acme: Partner
) -> None:
    other = "xfcc" if header == "client-cert" else "client-cert"
    ended = partner(authority, "acme", ends=datetime.now(UTC) - timedelta(hours=1))

    async def scene(stage: Stage) -> None:
        async def said(*fields: bytes) -> tuple[int, str]:
            answer = await stage.ask(b"\r\n".join([GET[:-4], *fields, b"", b""]))
            return answer.status, "" if answer.status == 200 else answer.problem["code"]

        assert await said(written(header, acme)) == (200, "")
        assert await said() == (401, "mtls.missing")
        assert await said(written(other, acme)) == (401, "mtls.missing")
        assert await said(written(header, acme), written(other, acme)) == (200, "")
        assert await said(written(header, ended)) == (401, "mtls.expired")
        assert await said(written(header, acme)[:90]) == (401, "mtls.malformed")
        assert not any(b"client-cert" in request for request in stage.upstream.requests)

    consumers = {"acme": {"certificates": [{"subject": "CN=acme,OU=Orders,O=Acme Ltd"}]}}
    proxy = {**PROXY, "client_cert_header": header}
    play(scene, proxy=proxy, consumers=consumers, routes=[WITH_MTLS])


@pytest.mark.parametrize("header", ["client-cert", "xfcc"])
def test_nobody_else_names_certificates(play: Perform, header: str, acme: Partner) -> None:
    async def scene(stage: Stage) -> None:
        raw = b"\r\n".join([GET[:-4], written("client-cert", acme), written("xfcc", acme), b"", b""])
        assert (await stage.ask(raw)).problem["code"] == "mtls.missing"
        public = raw.replace(b"GET /", b"GET /public", 1)
        assert (await stage.ask(public)).status == 200
        assert not any(b"client-cert" in request for request in stage.upstream.requests)

    routes = [WITH_MTLS, {"name": "open", "match": {"path": "/public"}, "public": True, "upstream": "orders"}]
    proxy = {**PROXY, "trusted": ["10.0.0.0/8"], "client_cert_header": header}
    play(scene, proxy=proxy, consumers={"acme": {"certificates": [{"sha256": acme.sha256}]}}, routes=routes)


def test_plain_text_is_sent_to_https(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        raw = b"POST /a//b/%7ec?x=%2f HTTP/1.1\r\nHost: Api.Example:8080\r\nContent-Length: 2\r\n"
        answer = await stage.ask(raw + b"\r\nhi")
        assert (answer.status, answer.body) == (308, b"")
        assert answer.get(b"location") == [b"https://api.example:8443/a/b/~c?x=%2f"]
        assert (await stage.ask(b"GET / HTTP/1.1\r\n\r\n")).status == 400
        assert (await stage.ask(raw + b"X-Forwarded-Proto: https\r\n\r\nhi")).status == 200
        assert len(stage.upstream.requests) == 1
        assert [line["codes"] for line in await lines(stage, 3)] == [["request.plain-text"], ["request.host"], []]

    play(scene, listen={"redirect": "https"}, public_url="https://api.example:8443", proxy=PROXY)


def test_the_port_for_https_is_left_out_where_it_is_the_usual_one(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.ask(b"GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n")
        assert answer.get(b"location") == [b"https://[2001:db8::1]/"]

    play(scene, listen={"redirect": "https"})


def test_a_unix_socket(play: Perform, tmp_path: Path, acme: Partner) -> None:
    path = tmp_path / "gateway.sock"

    async def scene(stage: Stage) -> None:
        caller = Caller(*await asyncio.open_unix_connection(path))
        for _ in range(2):
            await caller.send(b"\r\n".join([GET[:-4], b"X-Forwarded-For: 192.0.2.7", written("xfcc", acme), b"", b""]))
            assert (await caller.answer()).status == 200
        caller.close()
        assert all(b"\r\nx-forwarded-for: 192.0.2.7\r\n" in request for request in stage.upstream.requests)
        assert [(line["client"], line["consumer"]) for line in await lines(stage, 2)] == [("192.0.2.7", "acme")] * 2

    consumers = {"acme": {"certificates": [{"sha256": acme.sha256}]}}
    proxy = {**PROXY, "client_cert_header": "xfcc"}
    play(scene, listen={"unix": str(path)}, proxy=proxy, consumers=consumers, routes=[WITH_MTLS])
    assert not path.exists()
