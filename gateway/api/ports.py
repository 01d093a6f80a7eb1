"""What the core hands to policies and adapters: clocks, counters, stores, lasting state, the control plane's HTTP client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, TypeVar, runtime_checkable

from gateway.api.consumers import Limits
from gateway.api.orders import Revoke
from gateway.api.standing import Standing

if TYPE_CHECKING:
    from gateway.api.policy import Level
    from gateway.api.settings.upstream import UpstreamConfig

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds that never step back; the event loop's clock."""
        ...

    def time(self) -> float:
        """Unix seconds."""
        ...


class Tally:
    """A counter that costs an attribute increment; metrics read it at scrape time."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class Gauge(Tally):
    """A value that goes up and down; it is reported while somebody holds it. Several with the same labels are merged."""

    __slots__ = ("__weakref__",)


class Table(Protocol):
    """What a store in memory shows to the Python twin of an operation: keys with a value and an end."""

    def get(self, key: str) -> Any:
        """The value of `key`; None when it is absent or its time is over."""
        ...

    def set(self, key: str, value: Any, expires: float) -> None:
        """Keep `value` until `expires`, in seconds of the store's clock."""
        ...

    def delete(self, key: str) -> None:
        """Forget `key`; nothing happens when it is absent."""
        ...


class Operation(Protocol[R_co]):
    """One atomic operation on a store: a Lua body for Redis and its Python twin, tested to agree.

    `apply` works on the table of the keys it names; it must not wait, and `now` is the store's clock in seconds.
    `lua` sees the same keys as KEYS, the arguments as ARGV (strings: floats in full precision), and `now`, a number. It
    writes with an end (`'PXAT', math.ceil(expires * 1000)`), and returns fractions as strings: Redis cuts numbers to
    integers. `parse` makes of its reply what `apply` returns; it raises ValueError, TypeError or LookupError at nonsense.
    """

    name: str
    lua: str

    def keys(self) -> tuple[str, ...]: ...
    def arguments(self) -> tuple[bytes | int | float, ...]: ...
    def apply(self, table: Table, now: float) -> R_co: ...
    def parse(self, reply: Any) -> R_co: ...


class Repeated:
    """What an operation inherits that is run again and again, always by the same keys and arguments, across namespaces."""

    __slots__ = ("made",)

    def __init__(self) -> None:
        self.made: Any = None  # what the one store that is asked with it made of it


class Store(Protocol):
    """Atomic operations by meaning, never get-then-set. Keys are within the scope that the store was handed out for.

    Every operation raises StoreError when the store did not do it, or its answer was lost: a bounded time after it was
    asked, and at once while `standing` says that it is away.
    What stands before the first `|` of a key says whose it is: a Redis Cluster keeps all keys of one policy and one
    such owner together, whatever the rest of their namespace.
    """

    @property
    def standing(self) -> Standing: ...

    @property
    def waits_for_disk(self) -> bool:
        """Each operation takes milliseconds: what is done often is better done for many calls at once."""
        ...

    def within(self, *parts: str) -> Store:
        """The same store, narrowed: its keys lie below `parts`, and nothing outside can be reached."""
        ...

    async def get(self, key: str) -> bytes | None: ...
    async def put(self, key: str, value: bytes, ttl_s: float) -> None: ...
    async def claim(self, key: str, value: bytes, ttl_s: float) -> bytes | None:
        """Set `key` if absent. None: claimed; else the present holder's value."""
        ...

    def run(self, operation: Operation[T]) -> Awaitable[T]: ...

    def full_key(self, key: str) -> str:
        """What `key` is called in the store. Whoever asks often keeps the answer."""
        ...

    def together(self, full_keys: Sequence[str]) -> bool:
        """Whether one operation may name all these: always, but in a cluster only keys of one owner."""
        ...

    def run_across(self, operation: Operation[T]) -> Awaitable[T]:
        """`run` for an operation whose keys are full keys, of this store or of what was narrowed from it."""
        ...


class LocalStore(Store, Protocol):
    """A store in this process's memory: operations also run without waiting."""

    def within(self, *parts: str) -> LocalStore: ...

    def run_nowait(self, operation: Operation[T]) -> T: ...

    @property
    def times(self) -> Times:
        """The points of time kept beside the values, for limiters on the hot path."""
        ...


def is_local(store: Store) -> TypeGuard[LocalStore]:
    """Whether operations on `store` also run without waiting."""
    return hasattr(store, "run_nowait")  # isinstance() with a protocol takes 0.1 ms, for each limit of each route


class Times(Protocol):
    """One point of time a key; one that has passed means the same as none. All keys are full keys."""

    now: Callable[[], float]

    def get(self, key: str) -> float | None: ...
    def set(self, key: str, until: float, now: float) -> None: ...


class Fetched(Protocol):
    """An answer to the control plane, whole."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Fetch(Protocol):
    """The control plane's HTTP client (httpx): JWKS, discovery, tokens. Never on the request path."""

    async def __call__(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        timeout_s: float = 5.0,
    ) -> Fetched:
        """Raises OSError with a plain message when no answer came."""
        ...


@runtime_checkable
class Dependency(Protocol):
    """Lasting state (Scope.state) that stands for a system beside the gateway. The ops port's readiness shows it."""

    def dependency(self) -> tuple[str, bool]:
        """Its name, `issuer:NAME` or `store:NAME`, and whether it can be used at this moment."""
        ...


@runtime_checkable
class Unfinished(Protocol):
    """Lasting state (Scope.state) with work that outlives exchanges. A drain waits for it as it does for calls."""

    def unfinished(self) -> int:
        """How many changes there are still to make; 0 when nothing is left."""
        ...


class Scope(Protocol):
    """Where a policy is being built, and what it may use. Handed to `build` only, never kept across builds."""

    policy: str  # the policy's own name
    name: str  # the instance's name, unique on its route; `global-` leads at global level
    route: str  # "" at global and upstream level
    upstream: str
    calls: UpstreamConfig | None  # the upstream itself; None where there is none
    safe: bool | None  # whether a call may be repeated, as the route's adapter says; None without one: its method says
    level: Level  # where the policy is written
    shadow: bool
    clock: Clock
    fetch: Fetch
    workers: int  # live workers: memory-held figures are divided by it
    spread: Callable[
        [object], None
    ]  # has all other workers carry out an order (gateway/api/orders.py), within milliseconds

    @property
    def secret(self) -> bytes:
        """This policy's own, the same in all workers, another after each start."""
        ...

    def tally(self, decision: str) -> Tally:
        """A counter for sluicegate_policy_decisions_total{route,policy,decision}; the same label, the same counter."""
        ...

    def counter(self, metric: str, *labels: str) -> Tally:
        """A counter of one of the gateway's own metrics, by its name without the prefix `sluicegate_`."""
        ...

    def gauge(self, metric: str, *labels: str) -> Gauge:
        """A gauge of one of the gateway's own metrics; a new one each time."""
        ...

    def shared(self, name: str) -> Scope:
        """The same place for what several policies keep together: stores, state and background work are under `name`."""
        ...

    def store(self, url: str | None, *, durable: bool = False) -> Store:
        """The named store, or the default; every key is prefixed by this policy's name.

        Where SQLite is the default, or none is, what may be lost is in memory, and what is `durable` in SQLite.
        """
        ...

    def lasting_store(self, url: str | None) -> Store:
        """The same for what must outlive a restart: SQLite in the state folder where no store is named."""
        ...

    def state(self, identity: Hashable, make: Callable[[], T]) -> T:
        """State that outlives snapshots: the same policy and identity get the same object while anyone holds it.

        It is held weakly, so its class must allow that (no `__slots__` without `__weakref__`, no plain list or dict).
        """
        ...

    def ready(self, others: int) -> bool:
        """Whether a call could be sent now without waiting for a place, a token or a connection, after `others` of this moment.

        Only then `Exchange.before_send` need not be asked for.
        """
        ...

    def revocations(self) -> Sequence[Revoke]:
        """What operators revoked so far, for state that is made later; some of it may be over."""
        ...

    def issuer(self, name: str) -> Any:
        """The IssuerConfig called `name`; references were checked before."""
        ...

    def tier(self, name: str) -> Limits:
        """The figures of the tier called `name`; references were checked before."""
        ...

    def grants(self) -> Mapping[str, frozenset[str] | None]:
        """What the table `roles:` says of this route: role -> methods, None for all; empty when it is not named there."""
        ...

    def spawn(self, name: str, run: Callable[[], Any]) -> None:
        """Start a long-lived background coroutine function, once per name, ended when no snapshot needs it."""
        ...
