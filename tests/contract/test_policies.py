"""What every policy must keep to, for each one in the registry: files, configuration, shadow, refusals, cancellation."""

import asyncio
import importlib
import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.config import Block, PolicyBlock
from gateway.api.consumers import Limits, Rate
from gateway.api.errors import Cause, ClientGone, UpstreamError
from gateway.api.exchange import Outcome
from gateway.api.messages import Headers, Response
from gateway.api.policy import Authenticator, Gate, Layer, Level, Observer, PolicySpec, Slot
from gateway.api.settings.issuer import IssuerConfig
from gateway.compile.chain import Step, authorization, fold
from gateway.compile.registry import installed
from gateway.compile.source import yaml12
from gateway.testing.exchange import BytesBody, FakeScope, close, make_exchange, make_principal, read_all

REGISTRY = installed().policies
SPECS = [pytest.param(spec, id=name) for name, spec in REGISTRY.items()]
SHAPES = (Gate, Layer, Observer, Authenticator)
MARK = "zq7marker"  # whatever a caller sends holds it; no refusal may


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as one:  # one event loop for all: making one costs more than a chain
        yield one


def folder(spec: PolicySpec) -> Path:
    return Path(importlib.import_module(f"policies.{spec.name}").__file__).parent


def read_yaml(text: str):
    document = yaml12.load(text, lambda written: written)  # YAML 1.2, where `on` is text
    assert not document.problems
    return document.value


def example(spec: PolicySpec) -> list[PolicyBlock]:
    written = read_yaml((folder(spec) / "example.yaml").read_text())
    assert list(written) == [spec.name], "an example is one route's `policies:` with this policy alone"
    blocks = written[spec.name]
    if isinstance(blocks, list):
        assert spec.repeatable
    else:
        blocks = [blocks]
    return [spec.config.model_validate(block, context={}) for block in blocks]


class AnyIssuer(dict):
    """Whatever issuer an example names; it is away."""

    def __missing__(self, name):
        return IssuerConfig(issuer=f"https://{name}.example", audience="orders", jwks=f"https://{name}.example/jwks")


def scope_of(spec: PolicySpec, *, shadow: bool = False) -> FakeScope:
    return FakeScope(policy=spec.name, name=spec.name, shadow=shadow, issuers=AnyIssuer())


def chain_of(spec: PolicySpec, scope: FakeScope, answer):
    """The example's policies as a route runs them, in front of `answer`."""
    steps = []
    for config in example(spec):
        built = spec.build(config, scope)
        for one in built if isinstance(built, Sequence) else (built,):
            steps.append(Step(spec.slot(config), spec.name, one, scope.shadow, spec.merge, spec.rank))
            if isinstance(one, Authenticator):
                steps.append(Step(Slot.AUTHORIZE, spec.name, authorization(one), scope.shadow))

    async def terminal(exchange):
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return fold(steps, terminal)


def upstream_answer():
    return Response(207, Headers([(b"x-upstream", b"1")]), b"from the upstream")


PRINCIPAL = make_principal(
    limits=Limits(Rate(5, 1.0), 3), claims={"sub": MARK, "scope": MARK}, roles=frozenset({"reader"})
)
EXCHANGES = st.builds(
    lambda method, client, headers, body, principal: partial(
        make_exchange,
        method,
        f"/orders/{MARK}?q={MARK}",
        headers,
        client=client,
        params={"id": MARK},
        principal=principal,
        body=None if body is None else BytesBody(b"x" * body[0], announced=body[0] if body[1] else None),
    ),
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"]),
    st.sampled_from(["192.0.2.1", "10.1.2.3", "2001:db8::1", ""]),
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "Origin",
                    "Access-Control-Request-Method",
                    "Authorization",
                    "X-API-Key",
                    "X-Tenant",
                    "Cookie",
                    "X-Other",
                ]
            ),
            st.sampled_from(
                [MARK, f"Bearer {MARK}", f"Bearer {MARK}.{MARK}.{MARK}", f"https://{MARK}.example", "", "é"]
            ),
        ),
        max_size=5,
    ),
    st.none() | st.tuples(st.integers(0, 600_000), st.booleans()),
    st.sampled_from([None, PRINCIPAL]),
)


@pytest.mark.parametrize("spec", SPECS)
def test_it_is_called_as_its_folder(spec):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", spec.name)
    assert importlib.import_module(f"policies.{spec.name}").POLICY is spec
    assert issubclass(spec.config, PolicyBlock)
    assert spec.levels <= set(Level)


@pytest.mark.parametrize("spec", SPECS)
def test_its_example_decodes_and_builds(spec):
    blocks = example(spec)
    assert blocks
    for config in blocks:
        assert isinstance(spec.slot(config), Slot)
        built = spec.build(config, scope_of(spec))
        for one in built if isinstance(built, Sequence) else (built,):
            assert isinstance(one, SHAPES)
            assert isinstance(one, Authenticator) == spec.authenticator


@pytest.mark.parametrize("spec", SPECS)
def test_its_configuration_is_frozen_strict_and_documented(spec):
    config = example(spec)[0]
    with pytest.raises(ValueError, match="frozen"):
        config.mode = "shadow"
    with pytest.raises(ValueError, match="Extra inputs"):
        spec.config.model_validate({**config.model_dump(exclude_unset=True), "no_such_field": 1})
    assert config.mode == "enforce"
    assert config.name is None or isinstance(config.name, str)
    for model, field, described in described_fields(spec.config):
        assert described, f"{model}.{field} has no docstring under it"


def described_fields(model: type[Block]):
    for name, field in model.model_fields.items():
        yield model.__name__, name, field.description
        if isinstance(field.annotation, type) and issubclass(field.annotation, Block):
            yield from described_fields(field.annotation)


@pytest.mark.parametrize("spec", SPECS)
def test_its_page_names_every_field_and_its_codes(spec):
    page = (folder(spec) / "README.md").read_text()
    assert page.startswith(f"# {spec.name}\n")
    for field in spec.config.model_fields:
        assert re.search(rf"`[^`]*\b{re.escape(field)}\b[^`]*`|^\s+[-{{ ]*{re.escape(field)}:", page, re.MULTILINE), (
            field
        )
    source = "".join(path.read_text() for path in folder(spec).glob("*.py"))
    for code in set(re.findall(rf'"({spec.name}\.[a-z-]+)"', source)):
        assert code in page or code.partition(".")[2] in page, f"{code} is not explained"


@pytest.mark.parametrize("spec", SPECS)
def test_its_page_shows_its_example(spec):
    page = (folder(spec) / "README.md").read_text()
    shown = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert shown, "no YAML on the page"
    for text in shown:
        written = read_yaml(text)
        blocks = find_blocks(written, spec.name)
        for block in blocks:
            for one in block if isinstance(block, list) else [block]:
                spec.config.model_validate(one, context={})


def find_blocks(written, name):
    """The policy's blocks in `policies` mappings, wherever they stand."""
    if isinstance(written, list):
        return [block for item in written for block in find_blocks(item, name)]
    if not isinstance(written, dict):
        return []
    mine = [policies[name]] if isinstance(policies := written.get("policies"), dict) and name in policies else []
    return mine + [block for value in written.values() for block in find_blocks(value, name)]


@pytest.mark.parametrize("spec", SPECS)
@settings(max_examples=40, deadline=None)
@given(makers=st.lists(EXCHANGES, min_size=1, max_size=6))
def test_it_passes_or_refuses_with_a_problem_that_echoes_nothing(runner, spec, makers):
    chain = chain_of(spec, scope_of(spec), upstream_answer())
    for make in makers:
        exchange = make()
        answer = runner.run(chain.handle(exchange))
        close(exchange)
        check_headers(exchange.response_headers)
        if answer.status in (207, 204):
            continue
        assert 400 <= answer.status < 600
        problem = json.loads(answer.body)
        assert answer.headers.get(b"content-type") == b"application/problem+json"
        assert problem["code"].partition(".")[0] in (spec.name, "consumer", "auth")
        assert problem["code"] in exchange.codes
        assert problem["status"] == answer.status
        assert MARK.encode() not in answer.body
        assert not any(MARK.encode() in value for _, value in answer.headers)
        for observer in chain.observers:
            observer.observe(exchange, Outcome(answer.status, 0, 0.1, 0.0, True))


def check_headers(fields):
    for name, value in fields:
        assert re.fullmatch(rb"[a-z0-9-]+", name)
        assert re.fullmatch(rb"[\t -~\x80-\xff]*", value)


@pytest.mark.parametrize("spec", SPECS)
@settings(max_examples=40, deadline=None)
@given(makers=st.lists(EXCHANGES, min_size=1, max_size=6))
def test_in_shadow_it_never_refuses_and_says_nothing(runner, spec, makers):
    scope = scope_of(spec, shadow=True)
    chain = chain_of(spec, scope, upstream_answer())
    for make in makers:
        exchange = make()
        sent = exchange.request.body.pieces[:] if exchange.request.body else []
        answer = runner.run(chain.handle(exchange))
        assert (answer.status, list(answer.headers), answer.body) == (
            207,
            [(b"x-upstream", b"1")],
            b"from the upstream",
        )
        assert exchange.response_headers == []
        assert exchange.max_body is None
        if not spec.authenticator:
            assert all(code.startswith("shadow:") for code in exchange.codes)
        if sent:
            assert runner.run(read_all(exchange.request.body)) == b"".join(sent)
        close(exchange)


@pytest.mark.parametrize(
    "fault",
    [
        asyncio.CancelledError(),
        ClientGone(),
        UpstreamError(Cause.RESET, "head", sent=True),
    ],
    ids=["cancelled", "client gone", "upstream reset"],
)
@pytest.mark.parametrize("spec", [spec for spec in SPECS if not spec.values[0].authenticator])
def test_a_break_in_the_middle_passes_through_and_leaves_nothing(runner, spec, fault):
    chain = chain_of(spec, scope_of(spec), fault)
    exchange = make_exchange("POST", client="10.1.2.3", body=BytesBody(b"x"), principal=PRINCIPAL, params={"id": "1"})
    with pytest.raises(type(fault)) as raised:
        runner.run(chain.handle(exchange))
    assert raised.value is fault
    close(exchange)
    assert not exchange.closers


@pytest.mark.parametrize("spec", SPECS)
def test_what_is_built_twice_decides_alike(runner, spec):
    """A reload builds again over the same state; both versions answer for a while."""
    scope = scope_of(spec)
    exchanges = [
        partial(
            make_exchange,
            client="10.1.2.3",
            principal=PRINCIPAL,
            params={"id": "1"},
            headers=[("Origin", "https://x.example")],
        )
    ] * 3
    first, second = (chain_of(spec, scope.like(issuers=scope.issuers), upstream_answer()) for _ in range(2))
    for make in exchanges:
        assert answered(runner, first, make()) == answered(runner, second, make())


def answered(runner, chain, exchange):
    status = runner.run(chain.handle(exchange)).status
    close(exchange)
    return status


def test_policies_merge_only_what_they_can_refuse_together():
    merging = [spec for spec in REGISTRY.values() if spec.merge is not None]
    assert [spec.name for spec in merging] == ["quota", "rate_limit"]
    for spec in merging:
        scope = scope_of(spec)
        assert isinstance(spec.merge([spec.build(config, scope) for config in example(spec)]), Gate)


def test_no_policy_imports_another_or_the_core():
    for spec in REGISTRY.values():
        for path in folder(spec).glob("*.py"):
            for imported in re.findall(r"^(?:from|import) ([\w.]+)", path.read_text(), re.MULTILINE):
                top = imported.split(".")
                if top[0] == "policies":
                    assert top[1] == spec.name, f"{path}: {imported}"
                if top[0] == "gateway":
                    assert top[1] in ("api", "http"), f"{path}: {imported}"
                if path.name == "core.py":
                    assert top[0] not in ("asyncio", "redis", "time", "random"), f"{path}: {imported}"


@pytest.mark.parametrize(
    "name",
    [
        "ip_allow",
        "cors",
        "headers",
        "request_size",
        "rate_limit",
        "timeout",
        "api_key",
        "oauth2",
        "breaker",
        "retry",
        "bulkhead",
        "concurrency",
        "cache",
        "idempotency",
    ],
)
def test_the_registry_has_what_the_gateway_ships_with(name):
    assert name in REGISTRY
