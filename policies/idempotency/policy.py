"""Executes a key's first call, keeps its answer and gives it again. What may follow what is core.py's table."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import TypeVar

from gateway.api.callers import key_of as caller_key
from gateway.api.callers import value_of
from gateway.api.errors import Cause, StoreError, UpstreamError
from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Body, Headers, Response
from gateway.api.pause import pause
from gateway.api.policy import Built, Layer
from gateway.api.ports import Operation, Scope
from policies.idempotency import answers
from policies.idempotency.config import IdempotencyConfig, statuses
from policies.idempotency.core import Answer, Record, State, Verdict, verdict_of
from policies.idempotency.lasting import Afterwards
from policies.idempotency.operations import Claim, Complete, Lose, Release
from policies.idempotency.request import BadKey, fingerprint, key_of, record_key

T = TypeVar("T")

FIRST_LOOK_S, LONGEST_LOOK_S = 0.02, 0.5  # between two looks at a call that another one waits for


def build(config: IdempotencyConfig, scope: Scope) -> Built | Sequence[Built]:
    if not scope.upstream:
        return ()  # inherited by a route that answers by itself
    return ShadowLayer(config, scope) if scope.shadow else IdempotencyLayer(config, scope)


class _Base(Layer):
    """What is decided when the configuration is compiled."""

    def __init__(self, config: IdempotencyConfig, scope: Scope) -> None:
        namespace = config.namespace or scope.route
        store = scope.lasting_store(config.store)
        self._store = store.within("shadow", namespace) if scope.shadow else store.within(namespace)
        self._methods = frozenset(config.methods)
        self._required = config.required
        self._header = config.header
        self._field = config.header.lower().encode("ascii")
        self._selector = config.selector
        self._lease_s, self._ttl_s = config.lease, config.ttl
        self._max_response = config.max_response
        self._waits = config.in_flight == "wait"
        self._retries = config.on_unknown == "retry"
        self._allows = config.on_store_error == "allow"
        self._final, self._released = statuses(config.final), statuses(config.release)
        self._authenticates = scope.calls is not None and scope.calls.auth is not None
        self._principal = _principal_of(config.scope)
        self._clock = scope.clock
        self._now = scope.clock.monotonic
        self._tally = scope.tally
        self._lost = scope.tally("outcome-lost")
        self._count = {
            name: scope.tally(name)
            for name in (
                *("claimed", "replayed", "in-flight", "other-request", "outcome-unknown", "too-large", "key-missing"),
                *("key-malformed", "store-unavailable", "too-late", "fenced", "final", "released", "unknown"),
            )
        }
        self._afterwards = scope.state("afterwards", lambda: Afterwards(scope.clock.monotonic))

    def _counted(self, name: str) -> None:
        self._count[name].value += 1

    def _claim(self, exchange: Exchange, key: str, body: bytes, selector: str) -> Claim:
        return Claim(
            record_key(self._principal(exchange), key),
            secrets.token_hex(8),
            fingerprint(selector, exchange.request, body),
            selector,
            self._lease_s,
            self._ttl_s,
            self._retries,
        )

    def _verdict(self, status: int) -> Verdict:
        return verdict_of(status, self._final, self._released, authenticates=self._authenticates)


class IdempotencyLayer(_Base):
    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        request = exchange.request
        if request.method not in self._methods:
            return await proceed(exchange)
        try:
            key = key_of(request.headers.get_all(self._field))
        except BadKey as bad:
            self._counted("key-malformed")
            return answers.malformed(exchange, self._header, str(bad))
        if key is None:
            if not self._required:
                return await proceed(exchange)
            self._counted("key-missing")
            return answers.missing(exchange, self._header)
        body = await exchange.read_body()
        claim = self._claim(exchange, key, body, self._selector)
        look_s = FIRST_LOOK_S
        while True:
            claimed_at = self._now()  # before the claim: the store counts the lease from later on
            try:
                found = await self._store.run(claim)
            except StoreError:
                # the reply may be lost, not the claim: it is taken back as soon as the store answers
                self._later(Release(claim.key, claim.owner), claimed_at + self._lease_s)
                self._counted("store-unavailable")
                return await proceed(exchange) if self._allows else answers.unavailable(exchange)
            if found is None:
                self._counted("claimed")
                return await self._own(exchange, proceed, claim, claimed_at + self._lease_s)
            if found.selector != claim.selector:  # made under another configuration: compared by its own
                claim = self._claim(exchange, key, body, found.selector)
                if found.state is State.UNKNOWN and self._retries and found.fingerprint == claim.fingerprint:
                    continue
            if found.state is State.SENDING and self._waits and found.fingerprint == claim.fingerprint:
                left_s = exchange.deadline - self._now()
                if left_s > look_s:
                    await pause(exchange, look_s)
                    look_s = min(2 * look_s, LONGEST_LOOK_S)
                    continue
            return self._answer(exchange, found, claim.fingerprint)

    def _answer(self, exchange: Exchange, found: Record, digest: str) -> Response:
        """What there is to say of a key that another call has or had."""
        if found.fingerprint != digest:
            self._counted("other-request")
            return answers.other_request(exchange)
        if found.answer is not None:
            if found.answer.too_large:
                self._counted("too-large")
                return answers.too_large(exchange)
            self._counted("replayed")
            exchange.note("idempotency.replayed")
            return answers.replay(found.answer, self._clock.time())
        if found.state is State.SENDING:
            self._counted("in-flight")
            return answers.in_flight(exchange)
        self._counted("outcome-unknown")
        return answers.outcome_unknown(exchange)

    async def _own(self, exchange: Exchange, proceed: Proceed, claim: Claim, lease_end: float) -> Response:
        """The call itself. Its record is durable; whatever happens now ends in a change of it, or with its lease."""
        key, owner = claim.key, claim.owner
        # A process that was stopped in between must not send what another may have taken over
        if self._now() >= exchange.deadline or lease_end <= exchange.deadline:
            await self._change(Release(key, owner), lease_end)
            self._counted("too-late")
            return answers.too_late(exchange)
        exchange.request.headers.set(b"accept-encoding", b"identity")  # whoever asks again may accept another coding
        exchange.runs_on = True
        try:
            response = await proceed(exchange)
            if not exchange.sent:  # a refusal by the gateway itself
                await self._change(Release(key, owner), lease_end)
                self._counted("released")
                return response
            verdict = self._verdict(response.status)
            answer = await self._whole(exchange, response) if verdict is Verdict.FINAL else None
        except Exception:
            await self._change(Lose(key, owner) if exchange.sent else Release(key, owner), lease_end)
            self._counted("unknown" if exchange.sent else "released")
            raise
        except BaseException:  # cancelled: nothing can be waited for
            self._later(Lose(key, owner) if exchange.sent else Release(key, owner), lease_end)
            raise
        finally:
            exchange.runs_on = False
        if answer is not None:
            await self._change(Complete(key, owner, answer), lease_end)
        else:
            await self._change(Release(key, owner) if verdict is Verdict.RELEASED else Lose(key, owner), lease_end)
        self._counted(verdict.value)
        return response

    async def _whole(self, exchange: Exchange, response: Response) -> Answer:
        """The answer to keep. Its body is read to its end, or to the most that is kept."""
        fields = answers.kept_fields(response.headers)
        body = response.body
        if isinstance(body, Body):
            pieces: list[bytes] = []
            size = 0
            try:
                async with asyncio.timeout(exchange.deadline - self._now()):
                    while size <= self._max_response and (piece := await body.read()):
                        pieces.append(piece)
                        size += len(piece)
            except TimeoutError:
                body.close()
                detail = "its body did not end in time"
                raise UpstreamError(
                    Cause.TIMEOUT, "body", sent=True, upstream=exchange.upstream, detail=detail
                ) from None
            if size > self._max_response:
                response.body = answers.Continued(pieces, body)
                return Answer(response.status, (), b"", too_large=True)
            body = response.body = b"".join(pieces)
            response.headers = Headers(field for field in response.headers if field[0] != b"content-length")
        if len(body) > self._max_response:
            return Answer(response.status, (), b"", too_large=True)
        return Answer(response.status, fields, body)

    async def _change(self, operation: Operation[bool], until: float) -> None:
        try:
            if not await self._store.run(operation):
                self._counted("fenced")
        except StoreError:
            self._later(operation, until)

    def _later(self, operation: Operation[bool], until: float) -> None:
        self._afterwards.try_again(self._store, operation, until, self._lost)


class ShadowLayer(_Base):
    """Records and reports, never blocks and changes nothing. Answers' bodies are not kept."""

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        request = exchange.request
        if request.method not in self._methods:
            return await proceed(exchange)
        try:
            key = key_of(request.headers.get_all(self._field))
        except BadKey:
            return await self._pass(exchange, proceed, "key-malformed")
        if key is None:
            return await (self._pass(exchange, proceed, "key-missing") if self._required else proceed(exchange))
        claim = self._claim(exchange, key, await exchange.read_body(), self._selector)
        found = await self._try(claim)
        if isinstance(found, StoreError):
            return await self._pass(exchange, proceed, "store-unavailable")
        if found is not None:
            return await self._pass(exchange, proceed, _report(found, claim))
        self._counted("claimed")
        change: Operation[bool] = Lose(claim.key, claim.owner)
        try:
            response = await proceed(exchange)
            verdict = self._verdict(response.status) if exchange.sent else Verdict.RELEASED
            if verdict is Verdict.FINAL:
                change = Complete(claim.key, claim.owner, Answer(response.status, (), b""))
            elif verdict is Verdict.RELEASED:
                change = Release(claim.key, claim.owner)
            return response
        finally:
            await self._try(change)

    async def _pass(self, exchange: Exchange, proceed: Proceed, reason: str) -> Response:
        self._counted(reason)
        exchange.note(f"shadow:idempotency.{reason}")
        return await proceed(exchange)

    async def _try(self, operation: Operation[T]) -> T | StoreError:
        try:
            return await self._store.run(operation)
        except StoreError as away:
            return away


def _report(found: Record, claim: Claim) -> str:
    if found.selector == claim.selector and found.fingerprint != claim.fingerprint:
        return "other-request"
    return {State.SENDING: "in-flight", State.UNKNOWN: "outcome-unknown"}.get(found.state, "replayed")


def _principal_of(scope: str) -> Callable[[Exchange], str]:
    """Whose key it is. Nobody is authenticated on a public route: its callers share their keys, as a warning said."""
    if scope == "consumer":
        return lambda exchange: "route" if exchange.principal is None else exchange.principal.key
    if scope == "route":
        return lambda exchange: "route"
    value, key = value_of(scope), caller_key(scope)
    return lambda exchange: f"{scope}={key(value(exchange))}"
