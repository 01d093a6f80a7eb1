"""Configurations as text, compiled with a handful of policies made for the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from gateway.api.adapter import AdapterSpec
from gateway.api.config import Block, PolicyBlock
from gateway.api.exchange import Exchange
from gateway.api.messages import Response
from gateway.api.policy import CheckContext, Complaint, Gate, Level, Need, PolicySpec, Slot
from gateway.compile import Compiled, Compiler
from gateway.compile.registry import Registry

EVERYWHERE = frozenset(Level)


class Passing(Gate):
    def check(self, exchange: Exchange) -> Response | None:
        return None


class Plain(PolicyBlock):
    value: int = 0
    """A figure."""


class Issued(PolicyBlock):
    issuer: str = "idp"
    """Whose tokens."""


class Limit(PolicyBlock):
    per: str = "consumer"
    """Whose."""
    rate: int | None = None
    """How many."""


class Stored(PolicyBlock):
    store: str | None = None
    """Where."""


class Wrapped(Block):
    path: str
    """A file that it reads."""


def complain(config: Plain, context: CheckContext) -> list[Complaint]:
    if config.value == 13:
        where = "a public route" if context.route is not None and not context.authenticated else context.level.value
        return [Complaint(("value",), f"13 is unlucky on {where}")]
    return [Complaint(("value",), "12 is odd", "warning")] if config.value == 12 else []


def spec(name: str, config: type[PolicyBlock], slot: Slot = Slot.EDGE, **more: object) -> PolicySpec:
    settings = {"levels": EVERYWHERE, **more}
    return PolicySpec(name, config, lambda _: slot, lambda config, scope: Passing(), **settings)  # type: ignore[arg-type]


def registry() -> Registry:
    policies = [
        spec("plain", Plain, check=complain),
        spec("twice", Plain, repeatable=True),
        spec("token", Issued, Slot.AUTHENTICATE, authenticator=True),
        spec("key", Plain, Slot.AUTHENTICATE, authenticator=True),
        spec("allowed", Plain, Slot.AUTHORIZE),
        spec("timeout", Plain),
        spec("request_size", Plain),
        spec("whole", Plain, request_body=lambda config: Need.BUFFER),
        spec("stored", Stored),
        spec("routed", Plain, levels=frozenset({Level.ROUTE})),
        PolicySpec(
            "rate_limit",
            Limit,
            lambda config: Slot.LIMIT if config.per == "consumer" else Slot.GUARD,
            lambda config, scope: Passing(),
            levels=EVERYWHERE,
            repeatable=True,
            default_name=lambda config: config.per,
        ),
    ]
    adapter = AdapterSpec("wrap", Wrapped, lambda config, scope: None, files=lambda config: [config.path])  # type: ignore[arg-type, return-value]
    return Registry({each.name: each for each in policies}, {"wrap": adapter})


@pytest.fixture
def specs() -> Registry:
    return registry()


Write = Callable[..., Path]
CompileText = Callable[..., Compiled]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """write(gateway, orders="...") makes a configuration folder; each keyword is a file under routes/."""

    def make(gateway: str, **routes: str) -> Path:
        (tmp_path / "routes").mkdir(exist_ok=True)
        (tmp_path / "gateway.yaml").write_text(dedent(gateway))
        for name, text in routes.items():
            (tmp_path / "routes" / f"{name}.yaml").write_text(dedent(text))
        return tmp_path

    return make


@pytest.fixture
def compiled(write: Write, specs: Registry) -> CompileText:
    def make(gateway: str, **routes: str) -> Compiled:
        return Compiler(write(gateway, **routes), specs).compile()

    return make
