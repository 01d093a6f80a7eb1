"""What a server's own settings promise for what must last. Decides nothing."""

from __future__ import annotations

import asyncio
import re

from gateway.api.errors import StoreError
from gateway.api.standing import Durability
from gateway.stores.redis.link import Link

_SETTINGS = ("maxmemory-policy", "appendonly", "appendfsync")
_EVICTION = re.compile(r"^maxmemory_policy:(\S+)", re.MULTILINE)
_JOURNAL = re.compile(r"^aof_enabled:(\d)", re.MULTILINE)


async def durability_of(link: Link, acks: int) -> Durability:
    """Asks CONFIG, and where a user or a hosting company leaves that out, INFO. Raises StoreError when it is lost."""
    asked = [link.ask("CONFIG", "GET", name) for name in _SETTINGS]
    told = link.ask("INFO", "memory"), link.ask("INFO", "persistence")
    await asyncio.gather(*asked, *told, return_exceptions=True)
    if link.ended:
        raise StoreError(link.ended)
    settings = {name: _text(future) for name, future in zip(_SETTINGS, asked, strict=True)}
    memory, persistence = (_text(future) for future in told)
    journal = settings["appendonly"] or {"1": "yes", "0": "no"}.get(_first(_JOURNAL, persistence), "")
    return Durability(
        settings["maxmemory-policy"] or _first(_EVICTION, memory),
        "off" if journal == "no" else settings["appendfsync"],
        acks,
    )


def _text(future: asyncio.Future[object]) -> str:
    """The value, of CONFIG GET the second of two; "" when it was refused."""
    reply = None if future.exception() else future.result()
    if isinstance(reply, list):
        reply = reply[1] if len(reply) == 2 else None
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else ""


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
