"""Folds what a route's policies built into one callable. Knows slots and shapes, no policy by name.

Order is the slots' (policy.py); within a slot ranks decide, then layers stand outside gates (cors must see a refusal on its
way out), and policies go by name, so that the limits of all levels meet and decide together. Consecutive gates and authenticators share one coroutine frame,
because a frame costs and a call in a loop hardly does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.api.exchange import Exchange, Principal, Proceed
from gateway.api.messages import Response
from gateway.api.policy import PENDING, AskingGate, Authenticator, Built, Gate, Layer, Observer, Slot
from gateway.api.problem import problem

Check = Callable[[Exchange], Response | None]
Wait = Callable[[Exchange], Awaitable[Response | None]]


@dataclass(frozen=True, slots=True)
class Step:
    """One built policy in its place."""

    slot: Slot
    policy: str
    built: Built
    shadow: bool = False
    merge: Callable[[Sequence[Gate]], Gate] | None = None
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Chain:
    handle: Proceed
    observers: tuple[Observer, ...]


def fold(steps: Sequence[Step], terminal: Proceed, *, require_all: bool = False) -> Chain:
    """The chain of `steps` around `terminal`.

    Several authenticators count as one step, where the first of them stands: `require_all` is `auth: {all}`, else any.
    """
    observers = tuple(step.built for step in steps if isinstance(step.built, Observer))
    acting = sorted((step for step in steps if not isinstance(step.built, Observer)), key=_place)
    frames: list[Layer | list[tuple[Check, Wait | None]]] = []
    authenticators = [step for step in acting if isinstance(step.built, Authenticator)]
    position = 0
    while position < len(acting):
        step = acting[position]
        position += 1
        if isinstance(step.built, Layer):
            frames.append(step.built)
            continue
        if not frames or isinstance(frames[-1], Layer):
            frames.append([])
        frame = frames[-1]
        assert isinstance(frame, list)
        if isinstance(step.built, Authenticator):
            if authenticators:
                frame.append(_authentication(authenticators, require_all=require_all))
                authenticators = []
            continue
        assert isinstance(step.built, Gate)
        alike = [step]
        while step.merge and position < len(acting) and _mergeable(step, acting[position]):
            alike.append(acting[position])
            position += 1
        gates = [one.built for one in alike if isinstance(one.built, Gate)]
        gate = step.merge(gates) if step.merge and len(gates) > 1 else step.built
        wait = gate.wait if isinstance(gate, AskingGate) else None
        if step.shadow:
            frame.append((_shadowed(gate.check), None if wait is None else _shadowed_wait(wait)))
        else:
            frame.append((gate.check, wait))

    handle = terminal
    for frame in reversed(frames):
        handle = _layer(frame, handle) if isinstance(frame, Layer) else _gates(tuple(frame), handle)
    return Chain(handle, observers)


def authorization(authenticator: Authenticator) -> Gate:
    """The gate in AUTHORIZE that asks the authenticator who believed the caller what else it demands."""
    return _Authorization(authenticator)


class _Authorization(Gate):
    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def check(self, exchange: Exchange) -> Response | None:
        believed = exchange.state.get(_Believed) if exchange.state else None
        # of several authenticators each asks only of the principal that it believed itself
        principal = exchange.principal if believed is None else believed.get(self._authenticator)
        return None if principal is None else self._authenticator.authorize(exchange, principal)


class _Believed:
    """Key under which principals are kept by the authenticator that believed them, when a route has several."""


def _place(step: Step) -> tuple[Slot, int, bool, str, str]:
    # those that decide together stand together
    return (
        step.slot,
        step.rank,
        not isinstance(step.built, Layer),
        step.merge.__module__ if step.merge else "",
        step.policy,
    )


def _mergeable(one: Step, other: Step) -> bool:
    return other.slot is one.slot and other.merge is one.merge and other.shadow == one.shadow


def _layer(layer: Layer, proceed: Proceed) -> Proceed:
    around = layer.around

    def layered(exchange: Exchange) -> Awaitable[Response]:  # no frame of its own: hands on the coroutine
        return around(exchange, proceed)

    return layered


def _gates(steps: tuple[tuple[Check, Wait | None], ...], proceed: Proceed) -> Proceed:
    after = {wait: _gates(steps[place + 1 :], proceed) for place, (_, wait) in enumerate(steps) if wait is not None}

    def gated(exchange: Exchange) -> Awaitable[Response]:  # no frame of its own while there is nothing to wait for
        for check, wait in steps:
            refusal = check(exchange)
            if refusal is not None:
                if refusal is PENDING and wait is not None:
                    return _waited(exchange, wait, after[wait])
                return _refused(refusal)
        return proceed(exchange)

    return gated


async def _waited(exchange: Exchange, wait: Wait, proceed: Proceed) -> Response:
    refusal = await wait(exchange)
    return await proceed(exchange) if refusal is None else refusal


async def _refused(refusal: Response) -> Response:
    return refusal


def _shadowed(check: Check) -> Check:
    def shadowed(exchange: Exchange) -> Response | None:
        noted = len(exchange.codes)
        verdict = check(exchange)
        _mark_shadow(exchange, noted)
        return PENDING if verdict is PENDING else None

    return shadowed


def _shadowed_wait(wait: Wait) -> Wait:
    async def shadowed(exchange: Exchange) -> Response | None:
        noted = len(exchange.codes)
        await wait(exchange)
        _mark_shadow(exchange, noted)
        return None

    return shadowed


def _mark_shadow(exchange: Exchange, noted: int) -> None:
    """What a policy in shadow noted is no decision: the access log says so."""
    exchange.codes[noted:] = [f"shadow:{code}" for code in exchange.codes[noted:]]


def _authentication(steps: Sequence[Step], *, require_all: bool) -> tuple[Check, Wait | None]:
    if len(steps) == 1:
        return _single(steps[0])
    authenticators = [step.built for step in steps if isinstance(step.built, Authenticator)]
    if require_all:
        return _pending, _all_of(authenticators)
    return _pending, _any_of(authenticators)


def _pending(exchange: Exchange) -> Response | None:
    return PENDING


def _single(step: Step) -> tuple[Check, Wait]:
    authenticator = step.built
    assert isinstance(authenticator, Authenticator)
    identify_nowait, identify, strip = authenticator.identify_nowait, authenticator.identify, authenticator.strip
    shadow = step.shadow

    def settle(exchange: Exchange, verdict: Principal | Response, noted: int) -> Response | None:
        if type(verdict) is Response:
            if not shadow:
                return verdict
            _mark_shadow(exchange, noted)
            strip(exchange)  # bad credentials pass as anonymous
            return None
        exchange.principal = verdict  # type: ignore[assignment]  # not a Response, so a Principal
        strip(exchange)
        return None

    def check(exchange: Exchange) -> Response | None:
        noted = len(exchange.codes)
        verdict = identify_nowait(exchange)
        if type(verdict) is Principal:  # as settle() does, without the call
            exchange.principal = verdict
            strip(exchange)
            return None
        return PENDING if verdict is None else settle(exchange, verdict, noted)

    async def wait(exchange: Exchange) -> Response | None:
        noted = len(exchange.codes)
        return settle(exchange, await identify(exchange), noted)

    return check, wait


async def _identify(authenticator: Authenticator, exchange: Exchange) -> Principal | Response:
    verdict = authenticator.identify_nowait(exchange)
    return await authenticator.identify(exchange) if verdict is None else verdict


def _any_of(authenticators: Sequence[Authenticator]) -> Wait:
    async def any_of(exchange: Exchange) -> Response | None:
        # credentials that are presented and bad are 401 even when another is good: every one presented is asked
        believed: Authenticator | None = None
        for authenticator in authenticators:
            if authenticator.presented(exchange):
                verdict = await _identify(authenticator, exchange)
                if isinstance(verdict, Response):
                    return verdict
                if believed is None:
                    believed, exchange.principal = authenticator, verdict
        if believed is None:
            return await _challenge(authenticators, exchange)
        if exchange.state is None:
            exchange.state = {}
        exchange.state[_Believed] = {believed: exchange.principal}
        for authenticator in authenticators:
            authenticator.strip(exchange)
        return None

    return any_of


async def _challenge(authenticators: Sequence[Authenticator], exchange: Exchange) -> Response:
    """Nothing was presented: the first one's refusal, with the challenges of all (RFC 9110 §11.6.1)."""
    first: Response | None = None
    for authenticator in authenticators:
        refusal = await _identify(authenticator, exchange)
        assert isinstance(refusal, Response), "an authenticator believed a caller that presented nothing"
        if first is None:
            first = refusal
        else:
            for value in refusal.headers.get_all(b"www-authenticate"):
                first.headers.add(b"www-authenticate", value)
    assert first is not None, "several authenticators stand here"
    return first


def _all_of(authenticators: Sequence[Authenticator]) -> Wait:
    async def all_of(exchange: Exchange) -> Response | None:
        believed: dict[Authenticator, Principal] = {}
        for authenticator in authenticators:
            verdict = await _identify(authenticator, exchange)
            if isinstance(verdict, Response):
                return verdict
            believed[authenticator] = verdict
        principals = list(believed.values())
        if len({principal.key for principal in principals}) > 1:
            return problem(
                exchange,
                403,
                "auth.different-consumers",
                "The credentials belong to different consumers; send those of one.",
            )
        exchange.principal = next((one for one in principals if one.claims), principals[0])  # for {claim.NAME}
        if exchange.state is None:
            exchange.state = {}
        exchange.state[_Believed] = believed
        for authenticator in authenticators:
            authenticator.strip(exchange)
        return None

    return all_of
