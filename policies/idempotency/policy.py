"""Executes a key's first call, keeps its answer and gives it again. What may follow what is core.py's table."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.api.backoff import doubled_s
from gateway.api.errors import StoreError, body_late
from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Body, Headers, Response
from gateway.api.pause import pause
from gateway.api.policy import Built
from gateway.api.ports import Scope
from policies.idempotency import answers
from policies.idempotency.config import IdempotencyConfig
from policies.idempotency.core import Record, State, Verdict
from policies.idempotency.kept import Answer, UnreadableError
from policies.idempotency.keyed import UNDER_WAY, KeyedLayer
from policies.idempotency.owner import NotSentError, Owner
from policies.idempotency.request import BadKey, MissingKey
from policies.idempotency.shadow import ShadowLayer

FIRST_LOOK_S, LONGEST_LOOK_S = 0.02, 0.5  # between two looks at a call that another one waits for


def build(config: IdempotencyConfig, scope: Scope) -> Built | Sequence[Built]:
    if not scope.upstream:
        return ()  # inherited by a route that answers by itself
    return ShadowLayer(config, scope) if scope.shadow else IdempotencyLayer(config, scope)


class IdempotencyLayer(KeyedLayer):
    def __init__(self, config: IdempotencyConfig, scope: Scope) -> None:
        super().__init__(config, scope)
        self._claiming = 0  # calls whose claims are on their way

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        try:
            key = self._key(exchange.request)
        except BadKey as bad:
            self._count("key-malformed")
            return answers.malformed(exchange, self._header, str(bad))
        except MissingKey:
            self._count("key-missing")
            return answers.missing(exchange, self._header)
        if key is None:
            return await proceed(exchange)
        exchange.keyed = True
        body = await exchange.read_body()
        selector = self._selector
        digest = self._fingerprint(selector, exchange, body)
        looks = 0
        while True:
            now = self._now()
            claim = self._claim(exchange, key, digest, selector, now, at_once=self._ready(self._claiming))
            owner = Owner(self._ledger, claim, now, exchange)
            self._claiming += 1
            try:
                found = await self._ledger.store.run(claim)
            except StoreError as problem:
                if problem.asked:
                    owner.withdraw()  # the reply may be lost, not the claim
                self._count("store-unavailable")
                return await proceed(exchange) if self._ledger.allows else answers.unavailable(exchange)
            except BaseException:
                owner.withdraw()
                raise
            finally:
                self._claiming -= 1
            if found is None:
                self._count("claimed")
                return await self._own(exchange, proceed, owner)
            if found.selector != selector:  # made under another configuration: compared by its own
                selector, digest = found.selector, self._fingerprint(found.selector, exchange, body)
                if found.state is State.UNKNOWN and self._retries and found.fingerprint == digest:
                    continue
            if found.state in UNDER_WAY and self._waits and found.fingerprint == digest:
                looks += 1
                look_s = doubled_s(looks, FIRST_LOOK_S, LONGEST_LOOK_S)
                if exchange.deadline - self._now() > look_s:
                    await pause(exchange, look_s)
                    continue
            return self._answer(exchange, found, digest, claim.key)

    def _answer(self, exchange: Exchange, found: Record, digest: str | None, place: str) -> Response:
        """What there is to say of a key that another call has or had."""
        if digest is not None and found.fingerprint != digest:
            self._count("other-request")
            return answers.other_request(exchange)
        if found.state in UNDER_WAY:
            self._count("in-flight")
            return answers.in_flight(exchange)
        if found.state is State.UNKNOWN:
            self._count("outcome-unknown")
            return answers.outcome_unknown(exchange)
        try:
            if digest is None:
                raise UnreadableError("its request cannot be compared")
            answer = self._ledger.keyring.read(found.answer, place)
        except UnreadableError:
            self._count("unreadable")
            return answers.unreadable(exchange)
        if answer.too_large:
            self._count("too-large")
            return answers.too_large(exchange)
        self._count("replayed")
        exchange.note("idempotency.replayed")
        return answers.replay(answer, self._ledger.clock.time())

    async def _own(self, exchange: Exchange, proceed: Proceed, owner: Owner) -> Response:
        """The call itself. Whatever happens now ends in a change of the record, or with its lease."""
        if not owner.begin():
            await owner.release()
            self._count("too-late")
            return answers.too_late(exchange)
        request = exchange.request
        request.headers = Headers(request.headers)  # those that compress has seen still say what the caller can read
        request.headers.set(b"accept-encoding", b"identity")  # whoever asks again may accept another coding
        exchange.runs_on = True
        exchange.before_send = owner.before_send
        self._ledger.leases.hold(owner)
        try:
            response = await proceed(exchange)
            verdict = self._verdict(response.status) if exchange.sent else Verdict.RELEASED
            if verdict is Verdict.FINAL:
                await owner.complete(await self._whole(exchange, response))
            elif verdict is Verdict.RELEASED:  # a refusal by the gateway itself among them
                await owner.release()
            else:
                await owner.lose()
        except NotSentError as refused:
            await owner.release()
            self._count(refused.code)
            return answers.too_late(exchange) if refused.code == "too-late" else answers.unavailable(exchange)
        except Exception:
            await (owner.lose() if owner.may_have_sent else owner.release())
            raise
        except BaseException:  # cancelled
            owner.leave()
            raise
        finally:
            self._ledger.leases.let_go(owner)
            exchange.runs_on = False
            exchange.before_send = None
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
                raise body_late(exchange.upstream) from None
            if size > self._max_response:
                response.body = answers.Continued(pieces, body)
                return Answer(response.status, (), b"", too_large=True)
            body = response.body = b"".join(pieces)
            response.headers = Headers(field for field in response.headers if field[0] != b"content-length")
        if len(body) > self._max_response:
            return Answer(response.status, (), b"", too_large=True)
        return Answer(response.status, fields, body)
