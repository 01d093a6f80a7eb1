"""Routes that demand a DPoP proof, or a proof of whatever kind the token is bound by (`sender_constrained: dpop|any`)."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.api.errors import StoreError
from gateway.api.exchange import Exchange, Principal
from gateway.api.messages import Response
from gateway.api.ports import Scope, Tally
from gateway.api.problem import problem
from policies.oauth2.bound import refusal_of_certificate
from policies.oauth2.config import OAuth2Block
from policies.oauth2.dpop import AHEAD_S, MAX_AGE_S, read_proof, refusal_of_proof
from policies.oauth2.nonces import Nonces
from policies.oauth2.policy import REALM, OAuth2, token_of
from policies.oauth2.reasons import Reason

# RFC 9449 §7.1
_DPOP = b'DPoP realm="sluicegate", algs="ES256 ES384 ES512 RS256 RS384 RS512 PS256 PS384 PS512 EdDSA"'
_NONCE = b'DPoP realm="sluicegate", error="use_dpop_nonce", error_description="the proof needs the nonce in DPoP-Nonce"'


class Proven(OAuth2):
    """A proof is good once, so a caller is always waited for: the proofs that were seen lie in a store.

    Without the store nobody is believed: StoreError becomes 503.
    """

    def __init__(self, config: OAuth2Block, scope: Scope) -> None:
        super().__init__(config, scope)
        self._believed = self._allowed  # counted here, once the proof is good, too
        self._allowed = Tally()
        self._any = config.sender_constrained == "any"
        self._schemes = (b"dpop ", b"bearer ") if self._any else (b"dpop ",)
        self._initials = b"DdBb" if self._any else b"Dd"
        # what is good once must be so for every worker, and after a restart
        store = scope.lasting_store(config.store)
        self._nonces = Nonces(scope.secret, store.within("nonce"))
        self._seen = store.within("jti")

    def identify_nowait(self, exchange: Exchange) -> Principal | Response | None:
        return None

    async def identify(self, exchange: Exchange) -> Principal | Response:
        verdict = super().identify_nowait(exchange)
        if verdict is None:
            verdict = await super().identify(exchange)
        if isinstance(verdict, Response):
            self._name_scheme(verdict, by_proof=_by_proof(exchange))
            return verdict
        try:
            reason = await self._refusal(exchange, verdict)
            if reason is not None:
                return await self._unproven(exchange, reason)
        except StoreError:
            self._unavailable.value += 1
            raise
        self._believed.value += 1
        return verdict

    def authorize(self, exchange: Exchange, principal: Principal) -> Response | None:
        refusal = super().authorize(exchange, principal)
        if refusal is not None:
            self._name_scheme(refusal, by_proof="jkt" in _confirmation(principal))
        return refusal

    def _name_scheme(self, refusal: Response, *, by_proof: bool) -> None:
        """RFC 9449 §7.1: what is wrong is said under the scheme that was used; §7.2: Bearer is offered where it is taken."""
        said = refusal.headers.get(b"www-authenticate")
        if said is None:  # 503
            return
        what = said.removeprefix(REALM)
        refusal.headers.set(b"www-authenticate", _DPOP + (what if by_proof or not self._any else b""))
        if self._any:
            refusal.headers.add(b"www-authenticate", REALM + (b"" if by_proof else what))

    async def _refusal(self, exchange: Exchange, principal: Principal) -> Reason | None:
        bound, by_proof = _confirmation(principal), _by_proof(exchange)
        if ("jkt" in bound) != by_proof:  # §7.2: a bound token must not pass as a plain one, nor the other way
            return Reason.UNBOUND if by_proof else Reason.NO_PROOF
        if not by_proof or (self._any and "x5t#S256" in bound):
            reason = refusal_of_certificate(principal.claims, exchange.request.certificate)
            if reason is not None:
                return reason
        return await self._refusal_of_proof(exchange, bound["jkt"]) if by_proof else None

    async def _refusal_of_proof(self, exchange: Exchange, thumbprint: object) -> Reason | None:
        request = exchange.request
        token = token_of(request.headers.get(b"authorization") or b"")
        sent = request.headers.get_all(b"dpop")
        if len(sent) != 1:  # §4.3, point 1
            return Reason.NO_PROOF
        proof = read_proof(sent[0])
        if proof is None:
            return Reason.BAD_PROOF
        if proof.thumbprint != thumbprint:
            return Reason.WRONG_PROOF
        base = exchange.snapshot.public_url or f"{request.scheme}://{request.authority.decode('latin-1')}"
        now = self._time()
        good = await self._nonces.good(now)
        reason = refusal_of_proof(proof, token, request.method, base.rstrip("/") + request.path, good, now)
        if reason is not None:
            return reason
        if await self._seen.claim(proof.identity, b"1", MAX_AGE_S + AHEAD_S) is not None:
            return Reason.USED_PROOF
        if proof.claims["nonce"] != good[0]:  # §8.2: the next proof shall use the new one
            exchange.response_headers.append((b"dpop-nonce", good[0].encode()))
        return None

    async def _unproven(self, exchange: Exchange, reason: Reason) -> Response:
        self._refused.value += 1
        exchange.note(reason.code)
        nonce = (b"dpop-nonce", (await self._nonces.good(self._time()))[0].encode())
        if reason is Reason.USE_NONCE:
            detail = "The DPoP proof needs a nonce; use that of this answer's DPoP-Nonce, and send the call again."
            return problem(exchange, 401, "oauth2.use-dpop-nonce", detail, ((b"www-authenticate", _NONCE), nonce))
        fields = (
            (b"www-authenticate", _DPOP + b', error="invalid_dpop_proof"'),
            *(((b"www-authenticate", REALM + b', error="invalid_token"'),) if self._any else ()),
            nonce,
        )
        detail = "The call does not prove that the access token is its own; send a new proof, made for this call with the token's key."
        return problem(exchange, 401, "oauth2.unproven", detail, fields)

    def strip(self, exchange: Exchange) -> None:
        exchange.request.headers.remove_all(b"dpop")  # it was for this gateway
        super().strip(exchange)


def _by_proof(exchange: Exchange) -> bool:
    """The token came as one that is bound to a key."""
    return (exchange.request.headers.get(b"authorization") or b"")[:5].lower() == b"dpop "


def _confirmation(principal: Principal) -> Mapping[str, object]:
    """RFC 7800 §3.1: what the token is bound to."""
    confirmation = principal.claims.get("cnf")
    return confirmation if isinstance(confirmation, Mapping) else {}
