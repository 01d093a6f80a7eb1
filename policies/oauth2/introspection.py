"""Asks one issuer about opaque tokens (RFC 7662): one question a token at a time, few at once, none while it is down.

Outlives snapshots. Says what the issuer answered; whether that is enough is issuer.py's to say. Knows no routes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict

from gateway.api.backoff import doubled_s
from gateway.api.ports import Clock, Fetch, Fetched, Tally
from gateway.api.settings.issuer import Introspection
from gateway.http.basic import client_basic
from policies.oauth2.core import Claims
from policies.oauth2.reasons import Reason
from policies.oauth2.token import read_object

log = logging.getLogger("sluicegate.oauth2")

TIMEOUT_S = 5.0  # of one question
MAX_ANSWER = 64 * 1024  # octets; answers have about 500
NEGATIVE_S = 5.0  # an inactive token is believed to be so; short, because a client may be quicker than its issuer
NEGATIVE_CAPACITY = 10_000
QUEUE = 4  # questions that wait, as a multiple of those under way; beyond, callers get 503 at once
TOLERATED = 3  # failures in a row; then the issuer is left alone for a while
FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 30.0


class Counts:
    """What is counted of one issuer's questions."""

    def __init__(self, active: Tally, inactive: Tally, failed: Tally, turned_away: Tally) -> None:
        self.active = active
        self.inactive = inactive
        self.failed = failed
        self.turned_away = turned_away


class Introspector:
    """One issuer's introspection endpoint. `max_in_flight` is this process's share."""

    live = True  # it vouches for what it said as long as that is remembered (remembered.py)

    def __init__(
        self, name: str, config: Introspection, max_in_flight: int, fetch: Fetch, clock: Clock, counts: Counts
    ) -> None:
        self._name = name
        self._endpoint = config.endpoint
        self._negative_s = min(NEGATIVE_S, config.cache)
        self._fetch = fetch
        self._clock = clock
        self._counts = counts
        self._headers = {
            "accept": "application/json",
            "authorization": client_basic(config.client_id, config.client_secret),
        }
        self._slots = asyncio.Semaphore(max_in_flight)
        self._most = max_in_flight * (1 + QUEUE)
        self._flights: dict[bytes, asyncio.Task[Claims | Reason | None]] = {}
        self._inactive: OrderedDict[bytes, float] = OrderedDict()  # digest -> monotonic end, oldest first
        self._failures = 0  # in a row
        self._resume_at = 0.0  # monotonic

    def dependency(self) -> tuple[str, bool]:
        """Implements gateway.api.ports.Dependency."""
        return f"issuer:{self._name}", self._failures < TOLERATED

    @property
    def retry_after_s(self) -> float:
        """Seconds until asking again makes sense, for Retry-After."""
        return max(1.0, self._resume_at - self._clock.monotonic())

    def known_inactive(self, digest: bytes) -> bool:
        """Whether the issuer said a moment ago that it does not know this token."""
        until = self._inactive.get(digest)
        return until is not None and self._clock.monotonic() < until

    async def ask(self, digest: bytes, token: str) -> Claims | Reason | None:
        """What the issuer says of an active token, INACTIVE, or None when it cannot be asked now."""
        if self.known_inactive(digest):
            return Reason.INACTIVE
        flight = self._flights.get(digest)
        if flight is None:
            if self._clock.monotonic() < self._resume_at or len(self._flights) >= self._most:
                self._counts.turned_away.value += 1
                return None
            # a task of its own: the caller who started it may go away, the others still wait for it
            flight = self._flights[digest] = asyncio.create_task(self._question(digest, token))
            flight.add_done_callback(lambda _: self._flights.pop(digest, None))
        return await asyncio.shield(flight)

    async def _question(self, digest: bytes, token: str) -> Claims | Reason | None:
        async with self._slots:
            if self._clock.monotonic() < self._resume_at:  # it went down while this one waited
                return None
            # RFC 7662 §2.1
            form = {"token": token, "token_type_hint": "access_token"}
            try:
                fetched = await self._fetch(
                    self._endpoint, method="POST", headers=self._headers, data=form, timeout_s=TIMEOUT_S
                )
                answer = _read(fetched)
            except OSError as exc:
                self._failed(str(exc))
                return None
        if self._failures >= TOLERATED:
            log.warning("issuer %s: its introspection endpoint answers again", self._name)
        self._failures = 0
        if answer is Reason.INACTIVE:
            self._counts.inactive.value += 1
            if len(self._inactive) >= NEGATIVE_CAPACITY:
                self._inactive.popitem(last=False)
            self._inactive[digest] = self._clock.monotonic() + self._negative_s
        else:
            self._counts.active.value += 1
        return answer

    def _failed(self, why: str) -> None:
        self._counts.failed.value += 1
        self._failures += 1
        if self._failures < TOLERATED:
            log.info("issuer %s: introspection failed: %s", self._name, why)
            return
        if self._failures == TOLERATED:  # once per transition
            log.error("issuer %s: opaque tokens cannot be checked: %s", self._name, why)
        pause_s = doubled_s(self._failures - TOLERATED + 1, FIRST_PAUSE_S, MAX_PAUSE_S)
        self._resume_at = self._clock.monotonic() + pause_s


def _read(fetched: Fetched) -> Claims | Reason:
    """RFC 7662 §2.2. Raises OSError for whatever is no answer: our credentials refused (§2.3) among it."""
    if fetched.status != 200:
        raise OSError(f"answered {fetched.status}")
    answer = read_object(fetched.body) if len(fetched.body) <= MAX_ANSWER else None
    if answer is None or not isinstance(answer.get("active"), bool):
        raise OSError("the answer is not that of an introspection endpoint")
    return answer if answer["active"] else Reason.INACTIVE
