"""The shapes a policy can take, and what it says of itself. docs/write-a-policy.md shows one from end to end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any, Final, TypeAlias

from gateway.api.config import PolicyBlock
from gateway.api.exchange import Exchange, Outcome, Principal, Proceed
from gateway.api.messages import Response
from gateway.api.ports import Scope


class Slot(IntEnum):
    """Where a policy stands, outermost first. Ops never order policies: the slot does."""

    EDGE = 0  # before anything is believed or counted; on the way out, last
    GUARD = 1  # limits that need no caller: per address, route or header
    AUTHENTICATE = 2
    LIMIT = 3  # limits per consumer or claim
    AUTHORIZE = 4
    VALIDATE = 5
    IDEMPOTENCY = 6
    CACHE = 7
    TRANSFORM = 8
    RESILIENCE = 9


class Need(IntEnum):
    """What a policy needs of a body. The largest of a chain counts."""

    STREAM = 0
    BUFFER = 1


class Gate(ABC):
    """Yes or no, at once: synchronous, no I/O."""

    @abstractmethod
    def check(self, exchange: Exchange) -> Response | None:
        """A refusal, or None to pass."""


PENDING: Final = Response(0, [])  # type: ignore[arg-type]  # a mark, told apart by identity, never sent
"""Returned by `check` when only `wait` can tell."""


class AskingGate(Gate):
    """A gate that may have to ask a store: `check` gives PENDING then, and the chain awaits `wait`."""

    @abstractmethod
    async def wait(self, exchange: Exchange) -> Response | None:
        """A refusal, or None to pass. Called only after `check` gave PENDING."""


class Layer(ABC):
    """Something around the rest of the chain."""

    @abstractmethod
    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        """Call `proceed(exchange)` at most once (a retry: several times) and return its answer or another.

        It returns when the answer's head is there; the body may stream on for minutes. What must last until the
        last byte goes to `exchange.on_close`.
        """


class Observer(ABC):
    """Sees how exchanges end, after the last byte."""

    @abstractmethod
    def observe(self, exchange: Exchange, outcome: Outcome) -> None:
        """Must not raise, wait or change anything."""


class Authenticator(ABC):
    """Says who is calling. The core runs it: alone, or several under `auth: {any|all}`."""

    @abstractmethod
    def presented(self, exchange: Exchange) -> bool:
        """Whether the request carries credentials of this kind, good or bad."""

    @abstractmethod
    def identify_nowait(self, exchange: Exchange) -> Principal | Response | None:
        """Decide from memory: a principal, a refusal, or None when only `identify` can tell."""

    @abstractmethod
    async def identify(self, exchange: Exchange) -> Principal | Response:
        """Decide, waiting for keys or an issuer if it must. Called only after identify_nowait gave None."""

    def authorize(self, exchange: Exchange, principal: Principal) -> Response | None:
        """This authenticator's own demands on the principal it identified (scopes, claims); runs in AUTHORIZE."""
        return None

    @abstractmethod
    def strip(self, exchange: Exchange) -> None:
        """Remove the credentials before the request goes upstream, where the configuration asks for that."""


Built: TypeAlias = Gate | Layer | Observer | Authenticator


class Level(Enum):
    """Where a policy may be written."""

    GLOBAL = "global"
    DEFAULTS = "defaults"
    UPSTREAM = "upstream"
    ROUTE = "route"


@dataclass(frozen=True, slots=True)
class Complaint:
    """A finding about one policy block, relative to it. `path` is the field, e.g. ("burst",)."""

    path: tuple[str | int, ...]
    message: str
    level: str = "error"  # or "warning"


@dataclass(frozen=True)
class PolicySpec:
    """What a policy's folder exports as POLICY."""

    name: str
    config: type[PolicyBlock]
    slot: Callable[[Any], Slot]
    build: Callable[[Any, Scope], Built | Sequence[Built]]
    levels: frozenset[Level] = frozenset({Level.DEFAULTS, Level.ROUTE})
    rank: int = 0  # within its slot, lower ones stand outside: retry (0) > bulkhead (1) > breaker (2)
    repeatable: bool = False  # a list is accepted
    default_name: Callable[[Any], str] | None = None  # of an instance that ops gave no name; None: the policy's
    # makes one gate of several of a slot that decide together; policies that name the same function decide together, too
    merge: Callable[[Sequence[Gate]], Gate] | None = None
    authenticator: bool = False
    answers_preflights: bool = False  # takes OPTIONS requests that announce another method (CORS)
    waits: Callable[[Any], bool] = lambda config: False  # may hold back a request that it lets through in the end
    request_body: Callable[[Any], Need] = lambda config: Need.STREAM
    check: Callable[[Any, CheckContext], Iterable[Complaint]] = lambda config, context: ()


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What a policy's `check` may look at to find mistakes that its model alone cannot see."""

    level: Level
    route: Any | None = None  # the RouteConfig, None at upstream and global level
    issuers: Any = None  # mapping of name to IssuerConfig
    tiers: Any = None
    consumers: Any = None
    authenticated: bool = False  # the route has an authenticator
    upstream: Any = None  # the UpstreamConfig that is called, None where there is none or it is not settled
    beside: Mapping[str, PolicyBlock] = field(default_factory=dict)  # what else applies there, by policy
    settings: Any = None  # the document's Settings; None where they are wrong themselves
