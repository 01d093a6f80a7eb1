"""A store on Redis: what policies ask for, as scripts. Knows no connections: one server or many, that is for those that inherit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from gateway.api.ports import Operation, Repeated
from gateway.api.standing import Standing
from gateway.stores.keys import tagged
from gateway.stores.redis.link import Link
from gateway.stores.redis.resp import Word
from gateway.stores.redis.scripts import CLAIM, GET, PUT, Script, Scripts

T = TypeVar("T")
Made = tuple[Sequence[str], Script, bytes]
"""What an operation becomes here: its keys, and what is sent."""


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

    def run(self, operation: Operation[T], namespace: str | None = None) -> Awaitable[T]:
        made: Made | None = operation.made if isinstance(operation, Repeated) else None
        if made is None:
            keys: Sequence[str] = operation.keys()
            if namespace is not None:
                keys = [self._prefix + tagged(namespace, key) for key in keys]
            script = self._scripts.of(operation.lua)
            made = keys, script, script.pack(keys, operation.arguments())
            if isinstance(operation, Repeated):
                operation.made = made
        return self._call(made, operation.parse)

    def _octets(self, script: Script, key: str, *arguments: Word) -> Awaitable[bytes | None]:
        keys = (key,)
        return self._call((keys, script, script.pack(keys, arguments)), _octets_or_none)

    def _call(self, made: Made, parse: Callable[[Any], T]) -> Awaitable[T]:
        """No frame of its own while a connection is at hand."""
        keys, script, packed = made
        link = self._at_hand(keys)
        return self._call_first(made, parse) if link is None else link.call(script, packed, parse)

    async def _call_first(self, made: Made, parse: Callable[[Any], T]) -> T:
        keys, script, packed = made
        return await (await self._reach(keys)).call(script, packed, parse)


def _octets_or_none(reply: Any) -> bytes | None:
    if reply is None or isinstance(reply, bytes):
        return reply
    raise TypeError("neither octets nor nothing")
