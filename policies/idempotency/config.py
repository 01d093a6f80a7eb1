"""The YAML block of idempotency."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from gateway.api.config import Duration, Name, PolicyBlock, Secret, SecretField, Size, format_duration
from policies.idempotency.kept import Keyring
from policies.idempotency.request import CANONICAL, KEYED

_FIELD_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_STORE = r"^(sqlite(:///[^?]+)?(\?sync=(full|normal))?|rediss?(\+[a-z]+)?://\S+|[a-z0-9][a-z0-9_-]*)$"

Method = Annotated[str, Field(pattern=r"^(POST|PATCH|PUT|DELETE)$")]
Part = Annotated[str, Field(pattern=rf"^(method|path|query|body|header:{_FIELD_NAME})$")]
Statuses = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if type(value) is int else value, json_schema_input_type=str | int),
    Field(pattern=r"^[2-5](\d\d|xx)$"),
]


class IdempotencyConfig(PolicyBlock):
    """A caller that sends a key may send its request again: it is executed once, and gets the first answer."""

    header: Annotated[str, Field(pattern=rf"^{_FIELD_NAME}$")] = "Idempotency-Key"
    """The field that holds the key."""
    required: bool = True
    """Whether a request without a key is refused with 400; else it passes as any other."""
    methods: Annotated[tuple[Method, ...], Field(min_length=1)] = ("POST", "PATCH")
    """Methods whose keys count; a key on any other is ignored."""
    ttl: Annotated[Duration, Field(gt=0)] = 86_400.0
    """How long a key is remembered, from its first call."""
    lease: Annotated[Duration, Field(gt=0)] = 120.0
    """How long a call that does not end counts as under way; then nobody knows whether it was executed. Longer than the
    route's deadline (`timeout.total`)."""
    fingerprint: Annotated[tuple[Part, ...], Field(min_length=1)] = ("method", "path", "query", "body")
    """What makes two requests the same: method, path, query, body, header:NAME. Another one under the same key is 422."""
    canonical_json: bool = False
    """Whether bodies that differ only in the order of names, blanks and the writing of numbers are the same (RFC 8785)."""
    scope: Annotated[str, Field(pattern=rf"^(consumer|ip|route|header:{_FIELD_NAME}|claim:[!#-\[\]-~]+)$")] = "consumer"
    """Whose keys are apart: consumer, ip (IPv6: a /64), header:NAME, claim:NAME, or route (all callers share theirs)."""
    namespace: Name | None = None
    """Where the keys are kept; the route's name when left out. Write it before a route is renamed, or to share keys."""
    max_response: Annotated[Size, Field(gt=0)] = 2**20
    """Longest body of an answer that is kept; a longer one is given once, and 409 to whoever asks again."""
    in_flight: Literal["reject", "wait"] = "reject"
    """While the first call runs, others with its key get 409, or wait for its answer until their own deadline."""
    on_unknown: Literal["hold", "retry"] = "hold"
    """When nobody knows whether a call was executed: 409 until an operator settles it or `ttl` ends; or send it again,
    to an upstream that has `honours_idempotency_key`."""
    final: tuple[Statuses, ...] = ()
    """Statuses (409, or 5xx for all of them) whose answers are kept too, beside the usual ones."""
    release: tuple[Statuses, ...] = ()
    """Statuses after which the call may be made again, beside the usual ones."""
    encrypt: SecretField | None = None
    """Keeps answers under AES-256-GCM: a reference to a key of 32 octets in hex or base64. Several, one a line: the first
    encrypts, all of them read, so that keys can be replaced."""
    store: Annotated[str, Field(pattern=_STORE)] | None = None
    """Where records are kept: a name from `stores:`, memory, sqlite or sqlite:///PATH (with ?sync=normal where a power cut may
    lose the last moments), or the URL of a Redis; SQLite in the state folder when left out."""
    on_store_error: Literal["deny", "allow"] = "deny"
    """When the store is away: refuse with 503, or let calls pass unprotected."""

    @model_validator(mode="after")
    def _figures_fit(self) -> IdempotencyConfig:
        if self.ttl < self.lease:
            raise ValueError(
                f"ttl ({format_duration(self.ttl)}) is shorter than lease ({format_duration(self.lease)}): "
                "a key would be forgotten while its call runs"
            )
        if both := statuses(self.final) & statuses(self.release):
            raise ValueError(f"{min(both)} is in `final` and in `release`; take it out of one")
        return self

    @field_validator("encrypt")
    @classmethod
    def _keys(cls, secret: Secret | None) -> Secret | None:
        Keyring(secret)
        return secret

    def keyring(self) -> Keyring:
        return Keyring(self.encrypt)

    @property
    def selector(self) -> str:
        """What later calls are compared by; a record keeps it."""
        writes = self.keyring().writes
        parts = [CANONICAL if part == "body" and self.canonical_json else part for part in self.fingerprint]
        if writes is not None:
            parts.append(KEYED + writes)
        return ",".join(parts)


def statuses(written: tuple[str, ...]) -> frozenset[int]:
    found: set[int] = set()
    for each in written:
        found |= set(range(int(each[0]) * 100, int(each[0]) * 100 + 100)) if each.endswith("xx") else {int(each)}
    return frozenset(found)
