"""What operators may do with the record of an idempotency key: look at it, settle it, free it. Speaks no HTTP and prints nothing.

It works on the store's file, which all processes of the machine share: beside a running gateway, or without one.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gateway.api.callers import key_of as caller_key
from gateway.api.ports import Store
from gateway.compile.plan import Plan
from gateway.runtime.resources import SystemClock
from gateway.stores.keys import scoped
from gateway.stores.open import lasting_url, open_store
from policies.idempotency.config import IdempotencyConfig
from policies.idempotency.core import Record, State
from policies.idempotency.kept import Answer, Keyring, UnreadableError
from policies.idempotency.operations import Changed, Discard, Settle, Show
from policies.idempotency.request import record_key

log = logging.getLogger("sluicegate.audit")

POLICY = "idempotency"


class OutOfReachError(Exception):
    """There is no such record, or it is not where an operator can change it so. The message says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the record of one key is."""

    url: str
    namespace: str
    key: str
    called: str  # how it is named in the log: route and caller
    keyring: Keyring


def place_of(plan: Plan, route: str, key: str, consumer: str | None, caller: str | None) -> Place:
    """The record of `key` on `route`. `caller` is what tells callers apart where that is not the consumer's name.

    Raises OutOfReachError.
    """
    if route not in plan.routes:
        raise OutOfReachError(f"there is no route '{route}'")
    config = next((each.config for each in plan.routes[route].policies if each.policy == POLICY), None)
    if not isinstance(config, IdempotencyConfig):
        raise OutOfReachError(f"route '{route}' takes no idempotency keys")
    settings = plan.settings
    named = config.store or settings.store
    url = lasting_url(None if named is None else settings.stores.get(named, named), settings.state)
    if url == "memory":
        raise OutOfReachError(f"the keys of route '{route}' are in the memory of its workers")
    if consumer is not None:
        principal = f"consumer:{consumer}"
    elif caller is not None:
        principal = caller if config.scope == "consumer" else f"{config.scope}={caller_key(config.scope)(caller)}"
    else:
        principal = "route"  # shared by all callers
    whose = consumer or caller or "all callers"
    return Place(
        url, config.namespace or route, record_key(principal, key), f"of {whose} on route '{route}'", config.keyring()
    )


async def show(place: Place) -> dict[str, Any]:
    """The record as a document. Raises OutOfReachError, StoreError."""
    async with _store(place) as store:
        record = await store.run(Show(place.key))
    if record is None:
        raise _nothing(place)
    return _document(record, place)


async def settle(place: Place, status: int, body: bytes, media_type: str, who: str, why: str) -> None:
    """Write down how an unknown call ended: retries get this answer. Raises OutOfReachError, StoreError."""
    answer = Answer(status, ((b"content-type", media_type.encode("ascii")),), body, settled_by=f"{who}: {why}")
    async with _store(place) as store:
        found = await store.run(Settle(place.key, None, answer=place.keyring.keep(answer, place.key)))
    _demand(place, found, "settled: only an unknown outcome can be")
    log.warning("idempotency key %s settled as %d by %s: %s", place.called, status, who, why)


async def release(place: Place, who: str, why: str) -> None:
    """Free the key: its next call is executed. Raises OutOfReachError, StoreError."""
    async with _store(place) as store:
        found = await store.run(Discard(place.key, None))
    _demand(place, found, "released: its call is still under way")
    log.warning("idempotency key %s released by %s: %s", place.called, who, why)


@asynccontextmanager
async def _store(place: Place) -> AsyncIterator[Store]:
    backend = open_store(place.url, SystemClock(), lasting=True)
    try:
        yield scoped(backend, POLICY).within(place.namespace)
    finally:
        await backend.close()


def _nothing(place: Place) -> OutOfReachError:
    return OutOfReachError(f"there is no record of this key {place.called}")


def _demand(place: Place, found: Changed, otherwise: str) -> None:
    if found.state is State.FREE:
        raise _nothing(place)
    if not found.done:
        raise OutOfReachError(f"the key is {found.state.value} and was not {otherwise}")


def _document(record: Record, place: Place) -> dict[str, Any]:
    document: dict[str, Any] = {
        "state": record.state.value,
        "expires": record.expires,
        "lease_until": record.lease_until,
        "sendings": record.sendings,
        "fingerprint": record.fingerprint,
        "fingerprint_of": record.selector.split(","),
    }
    if record.answer:
        try:
            answer = place.keyring.read(record.answer, place.key)
        except UnreadableError as why:
            document["unreadable"] = str(why)
            return document
        document["answer"] = {
            "status": answer.status,
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in answer.headers],
            "body": answer.body.decode("utf-8", "replace"),
            "too_large": answer.too_large,
            "settled_by": answer.settled_by or None,
        }
    return document
