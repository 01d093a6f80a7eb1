"""Streams that operators end: by a reload of their route or their consumer, and by revoking their token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.api.orders import Revoke
from gateway.demo.issuer import DemoClient, DemoIssuer
from gateway.testing.tokens import shared_keys
from gateway.testing.upstream import Peer
from tests.wire.conftest import Perform
from tests.wire.plays import Caller, Stage, plan_of
from tests.wire.test_sse import HEAD, comes, event
from tests.wire.websockets import TEXT, connect, echo, frame, handshake

ROUTES: list[dict[str, Any]] = [
    {"name": name, "match": {"path": f"/{name}"}, "upstream": "orders", "public": True} for name in ("one", "two")
]


async def events(peer: Peer) -> None:
    await peer.request()
    await peer.send(HEAD, event(1))
    await peer.gone()


async def begun(stage: Stage, path: bytes, *lines: bytes) -> Caller:
    """A stream of events that has begun."""
    caller = await stage.caller()
    await caller.send(b"\r\n".join((b"GET %b HTTP/1.1" % path, b"Host: a", *lines, b"", b"")))
    await comes(caller, 1)
    return caller


async def reload(stage: Stage, edit: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads((stage.folder / "gateway.yaml").read_text())
    edit(document)
    await stage.gateway.apply(plan_of(stage.folder, document))


def test_a_stream_ends_a_grace_after_its_route_changed_and_others_go_on(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        changed, kept = await begun(stage, b"/one"), await begun(stage, b"/two")
        await reload(stage, lambda document: document["routes"][0].update(policies={"timeout": {"total": "9s"}}))
        assert not (await changed.rest()).endswith(b"0\r\n\r\n"), "it was cut, and does not look whole"
        assert stage.plane.in_flight() == 1
        kept.close()
        await stage.quiet()
        log = stage.plane._access_log
        assert log is not None
        await asyncio.to_thread(log.close)
        lines = [json.loads(line) for line in (stage.folder / "access.log").read_text().splitlines()]
        assert [(line["route"], line["codes"]) for line in lines] == [("one", ["streams.route-changed"]), ("two", [])]

    play(scene, events, events, routes=ROUTES, streams={"reload_grace": "100ms"})


def test_a_stream_outlives_reloads_that_do_not_concern_it_and_those_within_the_grace(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        client = await connect(stage, handshake(path=b"/one"))
        await reload(stage, lambda document: document["routes"].pop())
        await reload(stage, lambda document: document["routes"][0].update(policies={"timeout": {"total": "9s"}}))
        await client.send(frame(TEXT, b"still here"))
        assert (await client.next()).data == b"still here"

    play(scene, echo, routes=ROUTES)


def test_a_websocket_whose_route_went_is_told_to_come_back(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        client = await connect(stage, handshake(path=b"/one"))
        await reload(stage, lambda document: document["routes"].pop(0))
        assert (await client.next()).code == 1012
        assert (await stage.logged())["codes"] == ["streams.route-changed"]

    play(scene, echo, routes=ROUTES, streams={"reload_grace": "50ms"})


def test_streams_end_when_their_token_is_revoked_or_their_consumer_goes(play: Perform, tmp_path: Path) -> None:
    issuer = DemoIssuer(
        "https://idp.example", "orders", {name: DemoClient("s") for name in ("acme", "rocket")}, keys=shared_keys()
    )
    (tmp_path / "jwks.json").write_text(json.dumps(issuer.jwks()))

    def bearing(client: str, jti: str) -> bytes:
        return b"Authorization: Bearer " + issuer.token(client, jti=jti).encode()

    async def scene(stage: Stage) -> None:
        stolen = await connect(stage, handshake(bearing("acme", "stolen"), path=b"/known"))
        other = await connect(stage, handshake(bearing("acme", "other"), path=b"/known"))
        gone = await connect(stage, handshake(bearing("rocket", "third"), path=b"/known"))
        await stage.plane.purge(Revoke("partners", "stolen", None, 2e9, 3e9))
        assert (await stolen.next()).code == 1008
        await reload(stage, lambda document: document["consumers"].pop("rocket"))
        assert (await gone.next()).code == 1012
        await other.send(frame(TEXT, b"still here"))
        assert (await other.next()).data == b"still here"

    play(
        scene,
        *(echo, echo, echo),
        routes=[
            {
                "name": "known",
                "match": {"path": "/known"},
                "upstream": "orders",
                "policies": {"oauth2": {"issuer": "partners"}},
            }
        ],
        issuers={
            "partners": {"issuer": "https://idp.example", "audience": "orders", "jwks": str(tmp_path / "jwks.json")}
        },
        consumers={name: {"client_ids": [name]} for name in ("acme", "rocket")},
        streams={"reload_grace": "50ms"},
    )
