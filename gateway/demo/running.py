"""The demo as a whole: issuer, orders API and gateway in one process, on free ports, in a temporary folder."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import TracebackType

from gateway.api.settings.listen import Listen
from gateway.compile import Compiler
from gateway.compile.registry import installed
from gateway.demo import mainframe, stock
from gateway.demo.guide import Places, guide
from gateway.demo.issuer import DemoClient, DemoIssuer
from gateway.demo.orders import DemoOrders
from gateway.ops.application import ops_application
from gateway.runtime.listeners import Listener, listen_tcp
from gateway.runtime.plane import App
from gateway.runtime.servers import make_server
from gateway.runtime.standalone import Standalone

SECRET = "demo"  # noqa: S105 - of clients that exist as long as the demo
CLIENTS = {
    "acme": DemoClient(SECRET, ("orders:read", "orders:write")),
    "acme-reports": DemoClient(SECRET, ("orders:read",)),
    "rocket": DemoClient(SECRET, ("orders:read",)),
}
TOKEN_SCRIPT = """\
#!/bin/sh
# An access token of a client, from the demo's issuer: acme, acme-reports (may only read), rocket (free tier).
curl -s -u "${1:-acme}:%s" -d grant_type=client_credentials %s/token | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/'
"""  # noqa: S105 - asks for tokens, holds none


class Demo:
    """async with Demo() as demo: print(demo.guide())"""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._places: Places | None = None

    @property
    def places(self) -> Places:
        assert self._places is not None, "entered"
        return self._places

    def guide(self) -> str:
        return guide(self.places)

    async def __aenter__(self) -> Demo:
        async with self._stack as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluicegate-demo-")))
            listener = listen_tcp("127.0.0.1", 0)
            issuer = DemoIssuer(listener.url, "orders", CLIENTS)
            await stack.enter_async_context(_served(issuer.app, listener))
            api_key = secrets.token_urlsafe(24)
            values = {"ISSUER": issuer.url, "KEY_SHA256": sha256(api_key.encode()).hexdigest()}
            for name, app in (("ORDERS", DemoOrders().app), ("STOCK", stock.app)):
                listener = listen_tcp("127.0.0.1", 0)
                await stack.enter_async_context(_served(app, listener))
                values[name] = listener.url
            values["MAINFRAME"] = await stack.enter_async_context(mainframe.served())
            config = folder / "config"
            _write(files("gateway.demo").joinpath("config"), config, values)
            compile_ = Compiler(config).compile
            gateway = Standalone(compile_, installed(), ops_app=ops_application, watch=[config])
            await stack.enter_async_context(gateway)
            self._places = Places(gateway.urls[0], gateway.ops_url, issuer.url, folder, api_key)
            self._places.token_script.write_text(TOKEN_SCRIPT % (SECRET, issuer.url))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()


@asynccontextmanager
async def _served(app: App, listener: Listener) -> AsyncIterator[None]:
    server = make_server(app, listener, Listen(host="127.0.0.1"), wanted="uvicorn")
    await server.start()
    try:
        yield
    finally:
        await server.stop(1.0)
        listener.close()


def _write(template: Traversable, target: Path, values: dict[str, str]) -> None:
    """A copy of a file or folder with `@NAME@` filled in."""
    if template.is_dir():
        target.mkdir()
        for inner in template.iterdir():
            _write(inner, target / inner.name, values)
        return
    text = template.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    target.write_text(text, encoding="utf-8")
