"""TLS towards upstreams: who is believed, what is presented, and how failures are told."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from gateway.api.errors import Cause, UpstreamError
from gateway.api.settings.upstream import UpstreamConfig
from gateway.testing.upstream import ScriptedUpstream, answering, ok


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def serving(authority: trustme.CA, *names: str, clients: bool = False, until: datetime | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_after=until).configure_cert(context)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    return context


async def refusal(call) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await call
    return caught.value


def test_a_certificate_of_the_own_authority(play, caller_of, authority, ca) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok()), tls=serving(authority, "127.0.0.1")) as upstream:
            caller = caller_of(upstream.url, tls={"ca": ca})
            for _ in range(3):
                assert (await caller.call("POST", b"/", b"x" * 100_000)).body == b"ok"
            assert len(upstream.peers) == 1
            caller.upstream.close()
            await caller.until(lambda: caller.figures()["open"] == 0)

    play(scene)


def test_the_name_that_is_asked_for(play, caller_of, authority, ca) -> None:
    asked: list[str | None] = []
    context = serving(authority, "orders.internal")
    context.sni_callback = lambda _socket, name, _context: asked.append(name)

    async def scene() -> None:
        async with ScriptedUpstream(answering(ok()), tls=context) as upstream:
            await caller_of(upstream.url, tls={"ca": ca, "server_name": "orders.internal"}).call()
            assert asked == ["orders.internal"]

    play(scene)


@pytest.mark.parametrize("why", ["unknown authority", "another name", "expired"])
def test_a_certificate_that_is_not_believed(play, caller_of, authority, ca, why: str) -> None:
    async def scene() -> None:
        name = "other.example" if why == "another name" else "127.0.0.1"
        context = serving(authority, name, until=datetime(2020, 1, 1, tzinfo=UTC) if why == "expired" else None)
        async with ScriptedUpstream(answering(ok()), tls=context) as upstream:
            tls = {} if why == "unknown authority" else {"ca": ca}
            error = await refusal(caller_of(upstream.url, tls=tls).call())
            assert (error.cause, error.stage, error.sent) == (Cause.UNREACHABLE, "tls", False)
            assert "certificate" in error.detail
            assert not upstream.requests
            assert (await caller_of(upstream.url, tls={"verify": False}).call()).status == 200

    play(scene)


def test_a_client_certificate(play, caller_of, authority, ca, tmp_path) -> None:
    issued = authority.issue_cert("gateway.internal")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))

    async def scene() -> None:
        context = serving(authority, "127.0.0.1", clients=True)
        async with ScriptedUpstream(answering(ok()), tls=context) as upstream:
            tls = {"ca": ca, "cert": str(cert), "key": str(key)}
            assert (await caller_of(upstream.url, tls=tls).call()).status == 200
            # TLS 1.3 tells a missing client certificate after the handshake only: at the call's head
            error = await refusal(caller_of(upstream.url, tls={"ca": ca}).call())
            assert error.cause in (Cause.RESET, Cause.UNREACHABLE)

    play(scene)


def test_an_upstream_that_speaks_no_tls(play, caller_of, ca) -> None:
    async def scene() -> None:
        async def script(peer) -> None:
            await peer.read()
            await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with ScriptedUpstream(script) as upstream:
            error = await refusal(caller_of(upstream.url.replace("http:", "https:"), tls={"ca": ca}).call())
            assert (error.cause, error.stage, error.sent) == (Cause.UNREACHABLE, "tls", False)

    play(scene)


def test_a_handshake_that_hangs(play, caller_of, ca) -> None:
    async def scene() -> None:
        async def script(peer) -> None:
            await peer.gone()

        async with ScriptedUpstream(script) as upstream:
            url = upstream.url.replace("http:", "https:")
            error = await refusal(caller_of(url, tls={"ca": ca}, timeout={"connect": "80ms"}).call())
            assert (error.cause, error.stage, error.sent) == (Cause.TIMEOUT, "tls", False)
            await upstream.peers[0].ended.wait()

    play(scene)


def test_other_files_replace_the_connections(play, caller_of, authority, ca) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok()), tls=serving(authority, "127.0.0.1")) as upstream:
            caller = caller_of(upstream.url, tls={"ca": ca})
            await caller.call()
            same = UpstreamConfig.model_validate({"targets": [upstream.url], "tls": {"ca": ca}})
            caller.upstream.reconfigure(same)
            await caller.call()
            assert len(upstream.peers) == 1
            Path(ca).write_bytes(Path(ca).read_bytes() + b"\n# renewed\n")
            caller.upstream.reconfigure(same)
            await caller.call()
            assert len(upstream.peers) == 2

    play(scene)


def test_a_useless_file_changes_nothing(play, caller_of, authority, ca, tmp_path) -> None:
    async def scene() -> None:
        async with ScriptedUpstream(answering(ok()), tls=serving(authority, "127.0.0.1")) as upstream:
            caller = caller_of(upstream.url, tls={"ca": ca})
            empty = tmp_path / "empty.pem"
            empty.write_bytes(b"not a certificate")
            with pytest.raises(OSError):
                caller.upstream.reconfigure(
                    UpstreamConfig.model_validate({"targets": [upstream.url], "tls": {"ca": str(empty)}})
                )
            assert (await caller.call()).status == 200

    play(scene)


def test_a_name_that_tls_cannot_ask_for(play, caller_of) -> None:
    async def scene() -> None:
        with pytest.raises(ValueError, match="cannot ask for a server"):
            caller_of("https://127.0.0.1:1", tls={"server_name": ".bad"})

    play(scene)
