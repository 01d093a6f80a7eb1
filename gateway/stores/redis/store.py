"""A store on Redis: what policies ask for, as scripts. Knows no connections: one server or many, that is for those that inherit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

from gateway.api.errors import StoreError
from gateway.api.ports import Operation, Repeated
from gateway.api.standing import Standing
from gateway.stores.keys import tagged
from gateway.stores.redis.greeting import NONSENSE
from gateway.stores.redis.link import Link
from gateway.stores.redis.resp import Word
from gateway.stores.redis.scripts import CLAIM, GET, PUT, Script, Scripts

T = TypeVar("T")


class RedisStore(ABC):
    """A Backend. The clock is Redis's. It connects when it is first used, or by `settled`."""

    def __init__(self, prefix: str, scripts: Scripts) -> None:
        self._standing = Standing(available=False, own=False)
        self._prefix = prefix
        self._scripts = scripts
        self._get, self._put, self._claim = (scripts.of(lua) for lua in (GET, PUT, CLAIM))

    @abstractmethod
    def _at_hand(self, keys: Sequence[str]) -> Link | None:
        """The connection to whoever holds these keys, when it can be used now."""

    @abstractmethod
    async def _reach(self, keys: Sequence[str]) -> Link:
        """The same, for the first that use it. Raises StoreError."""

    @abstractmethod
    def together(self, full_keys: Sequence[str]) -> bool: ...

    @abstractmethod
    async def settled(self) -> None:
        """Returns when the store can be used, or is known not to be for now."""

    @abstractmethod
    async def close(self) -> None: ...

    @property
    def standing(self) -> Standing:
        return self._standing

    def full_key(self, namespace: str, key: str) -> str:
        return self._prefix + tagged(namespace, key)

    async def get(self, key: str) -> bytes | None:
        return await self._octets(self._get, key)

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        await self._octets(self._put, key, value, ttl_s)

    async def claim(self, key: str, value: bytes, ttl_s: float) -> bytes | None:
        return await self._octets(self._claim, key, value, ttl_s)

    async def run(self, operation: Operation[T], namespace: str | None = None) -> T:
        keys: Sequence[str] = operation.keys()
        if namespace is not None:
            keys = [self._prefix + tagged(namespace, key) for key in keys]
        link = self._at_hand(keys) or await self._reach(keys)
        script = self._scripts.of(operation.lua)
        packed = operation.packed if isinstance(operation, Repeated) else None
        if packed is None:
            packed = script.pack(keys, operation.arguments())
            if isinstance(operation, Repeated):
                operation.packed = packed
        reply: Any = await link.call(script, packed)
        try:
            return operation.parse(reply)
        except (ValueError, TypeError, LookupError) as problem:
            link.close(NONSENSE)
            raise StoreError(f"the answer to {operation.name} makes no sense") from problem

    async def _octets(self, script: Script, key: str, *arguments: Word) -> bytes | None:
        keys = (key,)
        link = self._at_hand(keys) or await self._reach(keys)
        reply = await link.call(script, script.pack(keys, arguments))
        if reply is None or isinstance(reply, bytes):
            return reply
        link.close(NONSENSE)
        raise StoreError("the answer makes no sense")
