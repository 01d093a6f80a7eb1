"""`mode: shadow`: keys are recorded and what would be said of them is reported; every call goes its way."""

from __future__ import annotations

from gateway.api.errors import StoreError
from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Response
from policies.idempotency.core import Record, State, Verdict
from policies.idempotency.kept import Answer
from policies.idempotency.keyed import UNDER_WAY, KeyedLayer
from policies.idempotency.operations import Claim
from policies.idempotency.owner import Owner
from policies.idempotency.request import BadKey, MissingKey


class ShadowLayer(KeyedLayer):
    """Records and reports, never blocks and changes nothing. Answers' bodies are not kept."""

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        try:
            key = self._key(exchange.request)
        except BadKey:
            return await self._pass(exchange, proceed, "key-malformed")
        except MissingKey:
            return await self._pass(exchange, proceed, "key-missing")
        if key is None:
            return await proceed(exchange)
        exchange.keyed = True
        digest = self._fingerprint(self._selector, exchange, await exchange.read_body())
        now = self._now()
        claim = self._claim(exchange, key, digest, self._selector, now, at_once=True)
        owner = Owner(self._ledger, claim, now, exchange)
        try:
            found = await self._ledger.store.run(claim)
        except StoreError as problem:
            if problem.asked:
                owner.withdraw()
            return await self._pass(exchange, proceed, "store-unavailable")
        if found is not None:
            return await self._pass(exchange, proceed, _report(found, claim))
        self._count("claimed")
        self._ledger.leases.hold(owner)
        try:
            response = await proceed(exchange)
        except BaseException:
            owner.leave()
            raise
        finally:
            self._ledger.leases.let_go(owner)
        match self._verdict(response.status) if exchange.sent else Verdict.RELEASED:
            case Verdict.FINAL:
                await owner.complete(Answer(response.status, (), b""))
            case Verdict.RELEASED:
                await owner.release()
            case Verdict.UNKNOWN:
                await owner.lose()
        return response

    async def _pass(self, exchange: Exchange, proceed: Proceed, reason: str) -> Response:
        self._count(reason)
        exchange.note(f"shadow:idempotency.{reason}")
        return await proceed(exchange)


def _report(found: Record, claim: Claim) -> str:
    if found.selector == claim.selector and found.fingerprint != claim.fingerprint:
        return "other-request"
    if found.state in UNDER_WAY:
        return "in-flight"
    return "outcome-unknown" if found.state is State.UNKNOWN else "replayed"
