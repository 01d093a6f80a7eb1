"""Nonces for DPoP proofs (RFC 9449 §8): one for each minute, the same in all processes that share a store.

The first process that needs a minute's nonce writes it down. What it proposes comes of a secret that all workers of a
gateway share, so these agree even where each has a memory of its own.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode

from gateway.api.ports import Store

STEP_S = 60  # a new nonce is handed out so often
STEPS = 5  # nonces that are good at a time, so that one lives 4 to 5 minutes


class Nonces:
    def __init__(self, secret: bytes, store: Store) -> None:
        self._secret = secret
        self._store = store
        self._known: dict[int, str] = {}
        self._step = -1
        self._good: tuple[str, ...] = ()

    async def good(self, now: float) -> tuple[str, ...]:
        """Those that are accepted at this time, the newest first; the store is asked once a minute. Raises StoreError."""
        step = int(now // STEP_S)
        if step != self._step:
            known = {one: self._known.get(one) or await self._agree(one) for one in range(step, step - STEPS, -1)}
            self._known, self._step, self._good = known, step, tuple(known.values())
        return self._good

    async def _agree(self, step: int) -> str:
        mine = urlsafe_b64encode(hmac.digest(self._secret, b"%d" % step, "sha256")[:18])
        return (await self._store.claim(str(step), mine, STEPS * STEP_S + STEP_S) or mine).decode("ascii")
