"""Keeps one issuer's keys current: in the background, after an unknown kid, and through an outage.

Outlives snapshots. Knows nothing of tokens, consumers or HTTP requests.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from gateway.api.backoff import doubled_s
from gateway.api.ports import Clock
from policies.oauth2.discovery import KeySource, NoKeys
from policies.oauth2.keys import KeySet, VerificationKey, read_key_set

log = logging.getLogger("sluicegate.oauth2")

REFRESH_S = 600.0
COOLDOWN_S = 10.0  # a kid that was not found is looked for again after this
BURST = 5  # fetches for different unknown kids at once, refilled by one a cooldown: a flood costs the issuer no more
_ASKED = 256  # unknown kids that are kept in mind
FIRST_RETRY_S = 1.0
MAX_RETRY_S = 60.0


class Keyring:
    """The keys of one issuer. `stale_s` may be changed at any time."""

    def __init__(self, name: str, source: KeySource, clock: Clock, stale_s: float) -> None:
        self.name = name
        self.stale_s = stale_s
        self.failure = ""  # of the last attempt, for the log and for operators
        self._source = source
        self._clock = clock
        self._keys: KeySet | None = None
        self._fetched_at = 0.0  # monotonic
        self._tried_at: float | None = None  # monotonic
        self._failures = 0  # in a row
        self._flight: asyncio.Task[None] | None = None
        self._asked: dict[int, float] = {}  # hash of an unknown kid -> monotonic time of the fetch for it
        self._full_at = 0.0  # monotonic; when all of BURST may be used again

    @property
    def ready(self) -> bool:
        """Whether there are keys that may be used: had once, and not older than `stale_s`."""
        return self._current() is not None

    def dependency(self) -> tuple[str, bool]:
        """Implements gateway.api.ports.Dependency."""
        return f"issuer:{self.name}", self.ready

    def fitting(self, kid: str | None, alg: str) -> Sequence[VerificationKey]:
        """The keys that may have signed a token; empty when there are none, or none may be used."""
        keys = self._current()
        return () if keys is None else keys.fitting(kid, alg)

    def may_fetch(self, kid: str | None) -> bool:
        """Whether a token with this unknown kid may start a fetch, or wait for the one under way."""
        now = self._clock.monotonic()
        if self._flight is not None or self._tried_at is None:
            return True
        if self._keys is None:
            return now - self._tried_at >= self._retry_s()
        rested = now - self._asked.get(hash(kid), -COOLDOWN_S) >= COOLDOWN_S
        return rested and self._full_at - now <= (BURST - 1) * COOLDOWN_S

    @property
    def retry_after_s(self) -> float:
        """Seconds until the next attempt, for Retry-After."""
        if self._tried_at is None:
            return FIRST_RETRY_S
        return max(FIRST_RETRY_S, self._retry_s() - (self._clock.monotonic() - self._tried_at))

    async def fetch_for(self, kid: str | None) -> None:
        """Fetch the keys for a token whose kid is unknown; ask `may_fetch` first."""
        if self._flight is not None:
            await self.refresh()
            # that fetch may have begun before the issuer had this key: then one more is due
            if self._keys is None or kid is None or kid in self._keys or not self.may_fetch(kid):
                return
        if self._keys is not None:
            now = self._clock.monotonic()
            if len(self._asked) >= _ASKED:
                self._asked.clear()
            self._asked[hash(kid)] = now
            self._full_at = max(self._full_at, now) + COOLDOWN_S
        await self.refresh()

    async def refresh(self) -> None:
        """Fetch the keys; whoever asks meanwhile waits for the same fetch. Failures are kept in `failure`."""
        if self._flight is None:
            # a task of its own: the caller who started it may go away, the others still wait for it
            self._flight = asyncio.create_task(self._fetch(), name=f"keys of issuer {self.name}")
            self._flight.add_done_callback(self._landed)
        flight = self._flight
        try:
            await asyncio.shield(flight)
        except asyncio.CancelledError:
            if not flight.cancelled():
                raise  # the caller was cancelled; if it was the fetch, the caller goes on with the keys there are

    async def run(self) -> None:
        """The background task: every 10 minutes, sooner after a failure, until nobody trusts this issuer any more."""
        try:
            while True:
                await self.refresh()
                await asyncio.sleep(self.pause_s())
        finally:
            if self._flight is not None:
                self._flight.cancel()

    def pause_s(self) -> float:
        """How long to wait before the next refresh in the background."""
        return self._retry_s() if self._failures else REFRESH_S

    def reread_file(self) -> None:
        """Take the keys of a file at once, when they come from one: no request need ever wait for it."""
        if self._source.file_changed:
            try:
                self._take(self._source.read_file())
            except NoKeys as why:
                self._failed(why)

    def _retry_s(self) -> float:
        return doubled_s(self._failures, FIRST_RETRY_S, MAX_RETRY_S)

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flight = None

    async def _fetch(self) -> None:
        try:
            self._take(await self._source.get())
        except NoKeys as why:
            self._failed(why)
        except Exception as bug:
            # nothing may end the renewal of keys for good: without it every token is refused after `stale`
            log.exception("issuer %s: a bug while its keys were fetched", self.name)
            self._failed(NoKeys(f"a bug: {bug!r}"))

    def _take(self, document: bytes) -> None:
        try:
            keys = read_key_set(document, self._keys)
        except ValueError as why:
            raise NoKeys(str(why)) from why
        if self._failures:
            log.warning("issuer %s: keys can be had again", self.name)
        for why_not in keys.skipped if self._keys is None or keys.skipped != self._keys.skipped else ():
            log.info("issuer %s: a published key is not used: %s", self.name, why_not)
        self._replace(keys)
        self._fetched_at = self._tried_at = self._clock.monotonic()
        self._failures = 0
        self.failure = ""

    def _failed(self, why: NoKeys) -> None:
        self._tried_at = self._clock.monotonic()
        self._failures += 1
        self.failure = str(why)
        if self._failures == 1:  # once per transition
            log.error("issuer %s: keys cannot be had: %s", self.name, why)
        self._current()  # remembered tokens look at `live` alone, so it must turn even when no other token comes

    def _current(self) -> KeySet | None:
        if self._keys is not None and self._clock.monotonic() - self._fetched_at > self.stale_s:
            log.error("issuer %s: keys are older than `stale`, its tokens are refused until it answers", self.name)
            self._replace(None)
        return self._keys

    def _replace(self, keys: KeySet | None) -> None:
        kept = set(keys or ())
        for key in self._keys or ():
            key.live = key in kept
        self._keys = keys
