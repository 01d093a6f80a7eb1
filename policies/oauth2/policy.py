"""Identifies a caller by its bearer token, and holds it to the route's demands. Waits only for an issuer's keys."""

from __future__ import annotations

import asyncio
from hashlib import sha256

from gateway.api.access import Access
from gateway.api.exchange import Exchange, Principal
from gateway.api.messages import Response
from gateway.api.policy import Authenticator
from gateway.api.ports import Scope
from gateway.api.problem import problem, retry_after
from policies.oauth2.config import OAuth2Block
from policies.oauth2.core import NOTHING, Demands, Lack, roles_of
from policies.oauth2.issuer import TrustedIssuer
from policies.oauth2.reasons import Reason
from policies.oauth2.remembered import Entry
from policies.oauth2.token import MAX_TOKEN, Token, is_opaque, read_token

# RFC 6750 §3 wants at least one parameter after the scheme
REALM = b'Bearer realm="sluicegate"'
_MISSING = ((b"www-authenticate", REALM),)
_REPEATED = ((b"www-authenticate", REALM + b', error="invalid_request"'),)
_INVALID = ((b"www-authenticate", REALM + b', error="invalid_token"'),)
_LONGEST_SCHEME = len(b"bearer ")
_MAX_VALUE = _LONGEST_SCHEME + MAX_TOKEN
_NO_ROLES: frozenset[str] = frozenset()
_FORBIDDEN = {
    Lack.SCOPE: (
        "oauth2.insufficient-scope",
        "The access token lacks a scope that this call needs; ask the issuer for one with it.",
    ),
    Lack.ROLE: ("oauth2.missing-role", "The caller lacks a role that this call needs; ask the operators for it."),
    Lack.CLAIM: (
        "oauth2.missing-claim",
        "The access token lacks a claim that this call needs; ask the operators which.",
    ),
}


class OAuth2(Authenticator):
    def __init__(self, config: OAuth2Block, scope: Scope) -> None:
        self._issuers = tuple(TrustedIssuer.trust(name, scope) for name in config.issuer)
        self._asked = tuple(issuer for issuer in self._issuers if issuer.introspector is not None)
        self._tables = tuple((issuer.remembered.get, issuer) for issuer in self._issuers)
        self._schemes: tuple[bytes, ...] = (b"bearer ",)
        self._initials = b"Bb"  # of the schemes: enough for values that were remembered, 0.05 µs instead of 0.3
        self._demands = Demands.of(config)
        self._demanding = self._demands != NOTHING
        self._reads_roles = bool(config.roles or scope.grants())
        self._forward = config.forward
        self._clock = scope.clock
        self._time = scope.clock.time
        self._allowed = scope.tally("allow")
        self._refused = scope.tally("refuse")
        self._forbidden = scope.tally("forbid")
        self._access = Access(scope.grants(), REALM, self._forbidden)
        self._unavailable = scope.tally("unavailable")
        # RFC 6750 §3.1: the scopes that are needed; of any_scope the first will do
        needed = (*config.scopes, *config.any_scope[:1])
        scopes = f', scope="{" ".join(needed)}"' if needed else ""
        self._insufficient = ((b"www-authenticate", REALM + f', error="insufficient_scope"{scopes}'.encode()),)

    def presented(self, exchange: Exchange) -> bool:
        return any(
            name == b"authorization" and value[:_LONGEST_SCHEME].lower().startswith(self._schemes)
            for name, value in exchange.request.headers
        )

    def identify_nowait(self, exchange: Exchange) -> Principal | Response | None:
        count, value = 0, b""
        for field in exchange.request.headers:
            if field[0] == b"authorization":
                value = field[1]
                count += 1
        if count != 1:
            return self._refuse_count(exchange, count)
        if len(value) > _MAX_VALUE:
            return self._refuse(exchange, Reason.TOO_LONG)
        digest = sha256(value).digest()
        now = self._time()
        for remembered, issuer in self._tables:
            entry = remembered(digest, now)
            # routes with other schemes share the table; RFC 9449 §7.2: a token counts only under the scheme it was checked by
            if entry is not None and value[0] in self._initials:
                if entry.version == exchange.snapshot.version and entry.principal is not None:
                    self._allowed.value += 1
                    return entry.principal
                return self._admit(exchange, issuer, entry)
        if not value[:_LONGEST_SCHEME].lower().startswith(self._schemes):  # RFC 9110 §11.1: a scheme's name has no case
            return self._refuse_count(exchange, 0)
        if self._asked and is_opaque(token_of(value)):
            known = all(issuer.introspector.known_inactive(digest) for issuer in self._asked if issuer.introspector)
            return self._refuse(exchange, Reason.INACTIVE) if known else None
        return self._verify(exchange, value, digest, may_wait=True)

    async def identify(self, exchange: Exchange) -> Principal | Response:
        """Called when only an issuer can tell: waits for its answer, or for keys that a fetch may bring."""
        value = exchange.request.headers.get(b"authorization")
        assert value is not None, "identify_nowait saw it"
        raw = token_of(value)
        if self._asked and is_opaque(raw):
            return await self._introspect(exchange, raw.decode("ascii"), sha256(value).digest())
        token = read_token(raw)
        assert isinstance(token, Token), "identify_nowait read it"
        askable = [
            issuer.keyring
            for issuer in self._issuers
            if issuer.refusal_of_form(token) is None and issuer.keyring.may_fetch(token.kid)
        ]
        try:
            async with self._until_deadline(exchange):
                for keyring in askable:
                    await keyring.fetch_for(token.kid)
        except TimeoutError:
            exchange.note("oauth2.no-answer-in-time")  # the verdict below is with the keys there are
        answer = self._verify(exchange, value, sha256(value).digest(), may_wait=False)
        assert answer is not None, "only waiting leaves it open"
        return answer

    def authorize(self, exchange: Exchange, principal: Principal) -> Response | None:
        token_roles = roles_of(principal.claims) if self._reads_roles else _NO_ROLES
        if self._demanding:
            roles = token_roles if principal.consumer is None else token_roles | principal.consumer.roles
            lack = self._demands.lack(principal.claims, principal.scopes, roles)
            if lack is not None:
                self._forbidden.value += 1
                return problem(exchange, 403, *_FORBIDDEN[lack], self._insufficient)
        return self._access.check(exchange, principal, token_roles)

    def strip(self, exchange: Exchange) -> None:
        if not self._forward:
            exchange.request.headers.remove_all(b"authorization")

    def _verify(
        self, exchange: Exchange, value: bytes, digest: bytes, *, may_wait: bool
    ) -> Principal | Response | None:
        token = read_token(token_of(value))
        if isinstance(token, Reason):
            return self._refuse(exchange, token)
        now = self._time()
        reason = Reason.WRONG_ISSUER
        for issuer in self._issuers:
            verdict = issuer.verify(token, now)
            if not isinstance(verdict, Reason):
                return self._admit(exchange, issuer, issuer.remember(digest, token, verdict, now))
            if verdict is Reason.UNKNOWN_KEY:
                if may_wait and issuer.keyring.may_fetch(token.kid):
                    return None
                if not issuer.keyring.ready:
                    detail = "The issuer's keys cannot be had at the moment; try again after Retry-After."
                    return self._without_issuer(exchange, detail, issuer.keyring.retry_after_s)
            if verdict is not Reason.WRONG_ISSUER:
                reason = verdict
        return self._refuse(exchange, reason)

    async def _introspect(self, exchange: Exchange, token: str, digest: bytes) -> Principal | Response:
        """Every issuer that may know the token is asked, in the order of the configuration."""
        reason, unanswered = Reason.INACTIVE, None
        try:
            async with self._until_deadline(exchange):
                for issuer in self._asked:
                    unanswered = issuer
                    verdict = await issuer.introspect(digest, token, self._time())
                    if isinstance(verdict, Entry):
                        return self._admit(exchange, issuer, verdict)
                    if verdict is None:
                        break
                    unanswered = None
                    if verdict is not Reason.INACTIVE:
                        reason = verdict
        except TimeoutError:
            exchange.note("oauth2.no-answer-in-time")
        if unanswered is None:
            return self._refuse(exchange, reason)
        assert unanswered.introspector is not None, "only those that have one are asked"
        detail = "The issuer cannot be asked about this token at the moment; try again after Retry-After."
        return self._without_issuer(exchange, detail, unanswered.introspector.retry_after_s)

    def _until_deadline(self, exchange: Exchange) -> asyncio.Timeout:
        return asyncio.timeout(max(0.0, exchange.deadline - self._clock.monotonic()))

    def _admit(self, exchange: Exchange, issuer: TrustedIssuer, entry: Entry) -> Principal | Response:
        """A believed token: who that is under the running configuration."""
        principal = issuer.principal(entry, exchange.snapshot.consumers)
        if principal is None:
            self._refused.value += 1
            return problem(
                exchange,
                403,
                "consumer.unknown",
                "The credentials are good but belong to no consumer; ask the operators to register them.",
                _MISSING,
            )
        # kept by the version and not by the table of consumers: an entry must not keep a retired table in memory
        entry.version, entry.principal = exchange.snapshot.version, principal
        self._allowed.value += 1
        return principal

    def _refuse(self, exchange: Exchange, reason: Reason) -> Response:
        self._refused.value += 1
        if reason is Reason.EXPIRED:  # said openly: the signature was good, so it is the owner who asks
            return problem(
                exchange,
                401,
                "oauth2.expired",
                "The access token has expired; get a new one and send the call again.",
                _INVALID,
            )
        exchange.note(reason.code)
        return problem(
            exchange,
            401,
            "oauth2.invalid-token",
            "The access token is not valid here; get a new one for this API from its issuer.",
            _INVALID,
        )

    def _refuse_count(self, exchange: Exchange, count: int) -> Response:
        self._refused.value += 1
        if count:  # RFC 6750 §3.1 invalid_request; which one the upstream would believe is anybody's guess
            return problem(
                exchange, 400, "oauth2.repeated", "Authorization was sent more than once; send it once.", _REPEATED
            )
        return problem(
            exchange,
            401,
            "oauth2.missing",
            "This call needs an access token; send `Authorization: Bearer TOKEN`.",
            _MISSING,
        )

    def _without_issuer(self, exchange: Exchange, detail: str, retry_after_s: float) -> Response:
        """Never open: without the issuer nobody can be believed, and nobody is accused."""
        self._unavailable.value += 1
        return problem(exchange, 503, "oauth2.issuer-unavailable", detail, (retry_after(retry_after_s),))


def token_of(value: bytes) -> bytes:
    """What follows the scheme of an Authorization field."""
    return value.partition(b" ")[2].strip(b" ")
