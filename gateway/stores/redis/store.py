"""A Redis store: what policies ask for, as commands to the server. Knows no connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from gateway.api.errors import StoreError
from gateway.api.ports import Operation
from gateway.api.standing import Standing
from gateway.stores.keys import tagged
from gateway.stores.redis.address import LASTING_TIMEOUT_S, TIMEOUT_S, Address
from gateway.stores.redis.greeting import context_of
from gateway.stores.redis.heartbeat import Heartbeat
from gateway.stores.redis.link import Link
from gateway.stores.redis.resp import Word
from gateway.stores.redis.scripts import CLAIM, PUT, Script, Scripts
from gateway.stores.redis.server import Server

T = TypeVar("T")

GET = "return redis.call('GET', KEYS[1])"


class RedisStore:
    """A Backend. The clock is Redis's. It connects when it is first used, or by `settled`."""

    def __init__(
        self,
        address: Address,
        *,
        name: str,
        process: str,
        lasting: bool = False,
        scripts: Scripts | None = None,
    ) -> None:
        """`process` tells this one from all others that share the store. Raises OSError for TLS files of no use.

        `lasting`: for what must outlive everything, on a connection of its own: operations wait longer, and count when
        as many replicas as the address demands have acknowledged them.
        """
        self._standing = Standing(available=False, own=False)
        self._prefix = address.prefix
        self._scripts = scripts or Scripts()
        self._get, self._put, self._claim = (self._scripts.of(lua) for lua in (GET, PUT, CLAIM))
        timeout_s = address.timeout_s or (LASTING_TIMEOUT_S if lasting else TIMEOUT_S)

        async def locate() -> tuple[str, int]:
            return address.hosts[0]

        self._server = Server(
            locate,
            address,
            None if address.tls is None else context_of(address.tls),
            timeout_s,
            lasting,
            Heartbeat(f"{address.prefix}{{processes}}", process, self._scripts),
            self._standing,
            name,
        )

    @property
    def standing(self) -> Standing:
        return self._standing

    def full_key(self, namespace: str, key: str) -> str:
        return self._prefix + tagged(namespace, key)

    def together(self, full_keys: Sequence[str]) -> bool:
        return True

    async def get(self, key: str) -> bytes | None:
        return self._octets(await self._call(self._get, (key,), ()))

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        await self._call(self._put, (key,), (value, ttl_s))

    async def claim(self, key: str, value: bytes, ttl_s: float) -> bytes | None:
        return self._octets(await self._call(self._claim, (key,), (value, ttl_s)))

    async def run(self, operation: Operation[T], namespace: str | None = None) -> T:
        keys: Sequence[str] = operation.keys()
        if namespace is not None:
            keys = [self._prefix + tagged(namespace, key) for key in keys]
        link = self._server.link or await self._reach()
        reply = await link.call(self._scripts.of(operation.lua), keys, operation.arguments())
        try:
            return operation.parse(reply)
        except (ValueError, TypeError, LookupError) as problem:
            self._server.nonsense()
            raise StoreError(f"the answer to {operation.name} makes no sense") from problem

    async def settled(self) -> None:
        """Returns when the store can be used, or is known not to be for now."""
        await self._server.settled()

    async def close(self) -> None:
        await self._server.close()

    async def _call(self, script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> Any:
        link = self._server.link or await self._reach()
        return await link.call(script, keys, arguments)

    async def _reach(self) -> Link:
        """For the first that use it. Raises StoreError."""
        await self._server.settled()
        if self._server.link is None:
            raise StoreError(f"away: {self._standing.reason}", asked=False)
        return self._server.link

    def _octets(self, reply: object) -> bytes | None:
        if reply is None or isinstance(reply, bytes):
            return reply
        self._server.nonsense()
        raise StoreError("the answer makes no sense")
