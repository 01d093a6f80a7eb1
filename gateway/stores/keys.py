"""Names of keys: every store is handed out within a namespace, and no key can point outside it. Knows no policy."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeGuard, TypeVar
from urllib.parse import quote

from gateway.api.ports import LocalStore, Operation, Store, Times
from gateway.api.standing import Standing

T = TypeVar("T")

_BETWEEN_PARTS = ":"
_BEFORE_KEY = "|"
_KEPT = "!$&'()*+,;=@/"  # stands in a part as it is, beside letters, digits and _.-~


class Backend(Protocol):
    """A whole store, keys and all, before anybody's namespace. All keys are full keys, made by `full_key`.

    `run` takes those of an operation as they are, or within `namespace`.
    """

    @property
    def standing(self) -> Standing: ...
    def full_key(self, namespace: str, key: str) -> str: ...
    def together(self, full_keys: Sequence[str]) -> bool: ...
    async def get(self, key: str) -> bytes | None: ...
    async def put(self, key: str, value: bytes, ttl_s: float) -> None: ...
    async def claim(self, key: str, value: bytes, ttl_s: float) -> bytes | None: ...
    def run(self, operation: Operation[T], namespace: str | None = None) -> Awaitable[T]: ...
    async def settled(self) -> None:
        """Returns when the store can be used, or is known not to be for now."""
        ...

    async def close(self) -> None: ...


class LocalBackend(Backend, Protocol):
    """A whole store in this process's memory."""

    @property
    def times(self) -> Times: ...

    def run_nowait(self, operation: Operation[T], namespace: str | None = None) -> T: ...


def _is_local(backend: Backend) -> TypeGuard[LocalBackend]:
    return hasattr(backend, "run_nowait")  # as is_local() of gateway.api.ports


def scoped(backend: Backend, *parts: str) -> Store:
    """The namespace `parts` of `backend`; a LocalStore when the backend is local."""
    if _is_local(backend):
        return LocalScoped(backend, _joined(parts))
    return Scoped(backend, _joined(parts))


def plain(namespace: str, key: str) -> str:
    """A full key where all keys lie in one place: in memory, in a file."""
    return namespace + _BEFORE_KEY + key


def tagged(namespace: str, key: str) -> str:
    """A full key that says in braces, for Redis Cluster, what it must lie together with: its policy and its owner.

    `{POLICY|OWNER}`, then `:REST-OF-NAMESPACE` and `|REST-OF-KEY` where there are such. Namespaces hold no brace and no
    `|`, and an owner no `|`, so no two keys are ever called the same. An owner may hold a brace: its keys still share
    one tag, a shorter one.
    """
    policy, colon, below = namespace.partition(_BETWEEN_PARTS)
    owner, bar, rest = key.partition(_BEFORE_KEY)
    return f"{{{policy}|{owner}}}{colon}{below}{bar}{rest}"


def _joined(parts: tuple[str, ...]) -> str:
    # ":" and "|" within a part are encoded: ("a:b",) and ("a", "b") never meet, and no part can end the namespace
    return _BETWEEN_PARTS.join(quote(part, safe=_KEPT) for part in parts)


@dataclass(frozen=True, slots=True)
class Scoped:
    """A store whose keys all lie in `namespace`. The key itself is the caller's and may hold anything."""

    backend: Backend
    namespace: str

    def within(self, *parts: str) -> Store:
        return Scoped(self.backend, self.namespace + _BETWEEN_PARTS + _joined(parts))

    @property
    def standing(self) -> Standing:
        return self.backend.standing

    @property
    def waits_for_disk(self) -> bool:
        return bool(getattr(self.backend, "waits_for_disk", False))

    def full_key(self, key: str) -> str:
        return self.backend.full_key(self.namespace, key)

    def together(self, full_keys: Sequence[str]) -> bool:
        return self.backend.together(full_keys)

    async def get(self, key: str) -> bytes | None:
        return await self.backend.get(self.full_key(key))

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        await self.backend.put(self.full_key(key), value, ttl_s)

    async def claim(self, key: str, value: bytes, ttl_s: float) -> bytes | None:
        return await self.backend.claim(self.full_key(key), value, ttl_s)

    def run(self, operation: Operation[T]) -> Awaitable[T]:
        return self.backend.run(operation, self.namespace)

    def run_across(self, operation: Operation[T]) -> Awaitable[T]:
        return self.backend.run(operation)


@dataclass(frozen=True, slots=True)
class LocalScoped(Scoped):
    """The same over a store in memory."""

    backend: LocalBackend

    def within(self, *parts: str) -> LocalStore:
        return LocalScoped(self.backend, self.namespace + _BETWEEN_PARTS + _joined(parts))

    @property
    def times(self) -> Times:
        return self.backend.times

    def run_nowait(self, operation: Operation[T]) -> T:
        return self.backend.run_nowait(operation, self.namespace)
