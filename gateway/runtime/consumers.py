"""The table of consumers of one snapshot: finds a consumer by name, client, key or certificate, each in O(1).

A table never changes; `updated` makes the next one and shares every consumer that stayed. Knows nothing of tokens,
headers or YAML.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from hmac import compare_digest

from gateway.api.consumers import Consumer, KeyEntry
from gateway.compile.plan import ConsumerPlan

SLICE = 400  # consumers between two turns of the event loop: below 1 ms of a core


class ConsumerTable:
    """Implements gateway.api.consumers.Consumers."""

    __slots__ = ("_certificates", "_clients", "_keys", "_plans", "_subjects")

    def __init__(self) -> None:
        self._plans: dict[str, ConsumerPlan] = {}
        self._clients: dict[str, dict[str, Consumer]] = {}  # issuer -> client id -> consumer
        # API keys by the first 8 octets of their digest: the dictionary sees only those, and the whole
        # digest is compared in constant time
        self._keys: dict[bytes, tuple[KeyEntry, ...]] = {}
        self._certificates: dict[bytes, Consumer] = {}
        self._subjects: dict[str, Consumer] = {}

    @classmethod
    def of(cls, plans: Mapping[str, ConsumerPlan]) -> ConsumerTable:
        """The table of these consumers, built at once: for commands and tests, never in a serving loop."""
        table = cls()
        for _ in table._apply(plans, ()):
            pass
        return table

    async def updated(self, changed: Mapping[str, ConsumerPlan], removed: Iterable[str]) -> ConsumerTable:
        """A table with `changed` added or replaced and `removed` gone; this one stays as it is.

        Gives way to the event loop after every slice of about 1 ms.
        """
        table = ConsumerTable()
        for _ in table._copy(self):
            await asyncio.sleep(0)
        for _ in table._apply(changed, removed):
            await asyncio.sleep(0)
        return table

    def __len__(self) -> int:
        return len(self._plans)

    def by_name(self, name: str) -> Consumer | None:
        plan = self._plans.get(name)
        return None if plan is None else plan.consumer

    def by_client(self, issuer: str, client_id: str) -> Consumer | None:
        clients = self._clients.get(issuer)
        return None if clients is None else clients.get(client_id)

    def by_key_digest(self, sha256: bytes) -> KeyEntry | None:
        for entry in self._keys.get(sha256[:8], ()):
            if compare_digest(entry.sha256, sha256):
                return entry
        return None

    def by_certificate(self, sha256: bytes, subject: str) -> Consumer | None:
        return self._certificates.get(sha256) or self._subjects.get(subject)

    def names_issuer(self, issuer: str) -> bool:
        return bool(self._clients.get(issuer))

    def _copy(self, other: ConsumerTable) -> Iterator[None]:
        """Copying a dictionary of 100,000 takes about 1 ms, so each is a slice."""
        self._plans = other._plans.copy()
        yield
        for issuer, clients in other._clients.items():
            self._clients[issuer] = clients.copy()
            yield
        self._keys = other._keys.copy()
        yield
        self._certificates = other._certificates.copy()
        self._subjects = other._subjects.copy()
        yield

    def _apply(self, changed: Mapping[str, ConsumerPlan], removed: Iterable[str]) -> Iterator[None]:
        """First everything old goes, then the new comes: a client or key may have moved between consumers."""
        for step, name in enumerate((*removed, *changed), 1):
            plan = self._plans.pop(name, None)
            if plan is not None:
                self._forget(plan)
            if step % SLICE == 0:
                yield
        for step, (name, plan) in enumerate(changed.items(), 1):
            self._plans[name] = plan
            self._learn(plan)
            if step % SLICE == 0:
                yield

    def _learn(self, plan: ConsumerPlan) -> None:
        consumer = plan.consumer
        for issuer, client_id in plan.clients:
            self._clients.setdefault(issuer, {})[client_id] = consumer
        for digest, key_id, expires in plan.keys:
            found = KeyEntry(consumer, key_id, expires, digest)
            self._keys[digest[:8]] = (*self._keys.get(digest[:8], ()), found)
        for value in plan.certificates:
            if isinstance(value, bytes):
                self._certificates[value] = consumer
            else:
                self._subjects[value] = consumer

    def _forget(self, plan: ConsumerPlan) -> None:
        for issuer, client_id in plan.clients:
            self._clients[issuer].pop(client_id, None)
        for digest, _, _ in plan.keys:
            rest = tuple(found for found in self._keys.pop(digest[:8], ()) if found.sha256 != digest)
            if rest:
                self._keys[digest[:8]] = rest
        for value in plan.certificates:
            if isinstance(value, bytes):
                self._certificates.pop(value, None)
            else:
                self._subjects.pop(value, None)
