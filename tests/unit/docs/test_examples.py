"""What a policy's page shows is not only read: a gateway made of it starts and answers calls."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from gateway.compile import compile_configuration
from gateway.compile.registry import installed
from gateway.compile.source.yaml12 import load
from gateway.runtime.data_plane import WorkerPlane
from gateway.runtime.inprocess import Gateway
from tests.unit.docs.test_docs import blocks, whole

SHOWN = [
    param
    for param in blocks("yaml")
    if param.values[0].parent.parent.name == "policies" and "tls/" not in param.values[1]  # tests/wire/test_tls.py
]
NOWHERE = "http://127.0.0.1:9"  # the discard service: nobody listens there


def on_this_machine(document: dict[str, Any], folder: Path) -> bytes:
    """As shown, but for the places of other machines, which a test must not call."""
    document = orjson.loads(orjson.dumps({**document, "state": str(folder / "state")}))  # parts of it are others' too
    for upstream in document["upstreams"].values():
        upstream["targets"] = [NOWHERE for _ in upstream["targets"]]
    for name, issuer in document["issuers"].items():
        issuer["issuer"] = f"{NOWHERE}/{name}"
    first = next(iter(document["upstreams"]))
    document.setdefault(
        "routes",  # where a page shows an upstream or an issuer alone
        [
            {"name": "any", "match": {}, "public": True, "upstream": first},
            *(
                {
                    "name": name,
                    "match": {"path": f"/{name}"},
                    "upstream": first,
                    "policies": {"oauth2": {"issuer": name}},
                }
                for name in document["issuers"]
            ),
        ],
    )
    return orjson.dumps(document)


@pytest.mark.parametrize(("page", "text", "marked"), SHOWN)
def test_an_example_serves(
    page: Path, text: str, marked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in re.findall(r"\$\{env:([A-Z_]+)\}", text):
        monkeypatch.setenv(name, "a secret")
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "gateway.yaml").write_bytes(on_this_machine(whole(page, load(text, str).value), tmp_path))
    compiled = compile_configuration(folder)
    plan = compiled.plan
    assert plan is not None, compiled.errors

    async def calls() -> list[httpx.Response]:
        async with (
            Gateway(plan, WorkerPlane(installed()), ports=[0] * len(plan.settings.listen)) as gateway,
            httpx.AsyncClient(base_url=gateway.urls[0], trust_env=False) as client,
        ):
            return [
                await client.request(
                    (*route.match.method, "GET")[0],
                    re.sub(r"\{[^}]*\}|\*+", "x", route.match.path),
                    headers={"host": host} if (host := "".join(route.match.host[:1]).replace("*", "x")) else None,
                )
                for route in (each.config for each in plan.routes.values())
            ]

    answers = asyncio.run(calls())
    assert answers
    for answer in answers:
        assert answer.status_code not in (404, 405, 500), answer.text
