"""Nonces for DPoP proofs (RFC 9449 §8): made of time and a secret that all workers share, so that nobody keeps them."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode

STEP_S = 60  # a new nonce is handed out so often
STEPS = 5  # nonces that are good at a time, so that one lives 4 to 5 minutes


class Nonces:
    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._step = -1
        self._good: tuple[str, ...] = ()

    def good(self, now: float) -> tuple[str, ...]:
        """Those that are accepted at this time, the newest first."""
        step = int(now // STEP_S)
        if step != self._step:
            self._good = tuple(self._of(step - back) for back in range(STEPS))
            self._step = step
        return self._good

    def _of(self, step: int) -> str:
        return urlsafe_b64encode(hmac.digest(self._secret, b"%d" % step, "sha256")[:18]).decode("ascii")
