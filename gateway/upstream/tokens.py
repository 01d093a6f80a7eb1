"""Access tokens that the gateway gets for itself from a token endpoint: kept, renewed before they end, asked for once.

Knows no upstream and no request; what stands for what is the key's business.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.api.ports import Clock, Fetch, Fetched
from gateway.http.basic import client_basic

log = logging.getLogger("sluicegate.upstream")

TIMEOUT_S = 5.0
CAPACITY = 10_000  # tokens kept; the least recently used go first
MAX_IN_FLIGHT = 50
LIFETIME_S = 300.0  # of a token whose answer has no expires_in (RFC 6749 §5.1 leaves it to us)
SHORTEST_S = 1.0  # a token younger than this is not replaced because an upstream refused it
_TOKEN = re.compile(r"[!-~]{1,16384}")  # it travels in a header field
_SECONDS = re.compile(r"[0-9]{1,9}")


class NoTokenError(Exception):
    """The token endpoint gave none. `refused`: it answered, and does not want to (RFC 6749 §5.2, status 400 or 403)."""

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class AccessToken:
    """`field` is the value of Authorization; the rest is monotonic seconds."""

    field: bytes
    since: float
    renew_at: float
    ends_at: float


class Tokens:
    """The tokens of one client at one endpoint, by key. One request a key is under way at a time."""

    def __init__(self, url: str, client_id: str, client_secret: str, fetch: Fetch, clock: Clock) -> None:
        self._url = url
        self._headers = {"accept": "application/json", "authorization": client_basic(client_id, client_secret)}
        self._fetch = fetch
        self._clock = clock
        self._kept: OrderedDict[bytes, AccessToken] = OrderedDict()
        self._flights: dict[bytes, asyncio.Task[AccessToken | NoTokenError]] = {}
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)

    def get_nowait(self, key: bytes, form: Mapping[str, str]) -> AccessToken | None:
        """The token of `key`, when there is one; it is renewed with `form`, beside the call, when its end is near."""
        token = self._kept.get(key)
        now = self._clock.monotonic()
        if token is None or now >= token.ends_at:
            return None
        self._kept.move_to_end(key)
        if now >= token.renew_at:
            self._flight(key, form)
        return token

    async def get(self, key: bytes, form: Mapping[str, str]) -> AccessToken:
        """A new token for `key`, asked for with `form`. Raises NoTokenError."""
        # a task of its own: the caller who started it may go away, the others still wait for it
        got = await asyncio.shield(self._flight(key, form))
        if isinstance(got, NoTokenError):
            raise got
        return got

    def forget(self, key: bytes, token: AccessToken) -> bool:
        """The upstream refused `token`: whether asking for another makes sense."""
        if self._clock.monotonic() - token.since < SHORTEST_S:
            return False
        if self._kept.get(key) is token:
            del self._kept[key]
        return True

    def _flight(self, key: bytes, form: Mapping[str, str]) -> asyncio.Task[AccessToken | NoTokenError]:
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.create_task(self._ask(key, form))
            flight.add_done_callback(lambda _: self._flights.pop(key, None))
        return flight

    async def _ask(self, key: bytes, form: Mapping[str, str]) -> AccessToken | NoTokenError:
        async with self._slots:
            since = self._clock.monotonic()  # before the answer: a token never seems younger than it is
            try:
                fetched = await self._fetch(
                    self._url, method="POST", headers=self._headers, data=form, timeout_s=TIMEOUT_S
                )
                token = _read(fetched, since)
            except OSError as exc:
                log.warning("no token from %s: %s", self._url, exc)
                return NoTokenError(str(exc))
            except NoTokenError as exc:
                log.warning("no token from %s: %s", self._url, exc)
                return exc
        self._kept[key] = token
        self._kept.move_to_end(key)
        if len(self._kept) > CAPACITY:
            self._kept.popitem(last=False)
        return token


def _read(fetched: Fetched, since: float) -> AccessToken:
    """RFC 6749 §5.1. Raises NoTokenError."""
    if fetched.status != 200:
        raise NoTokenError(f"answered {fetched.status}", refused=fetched.status in (400, 403))
    try:
        said = json.loads(fetched.body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise NoTokenError("the answer is not that of a token endpoint")
    token, kind, lifetime_s = said.get("access_token"), said.get("token_type"), said.get("expires_in", LIFETIME_S)
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise NoTokenError("the answer has no usable access_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise NoTokenError("the token is not one that is simply carried along (token_type Bearer)")
    if isinstance(lifetime_s, str) and _SECONDS.fullmatch(lifetime_s):  # Azure AD's v1.0 endpoints quote it
        lifetime_s = int(lifetime_s)
    if isinstance(lifetime_s, bool) or not isinstance(lifetime_s, int | float) or not 0 < lifetime_s < 1e9:
        raise NoTokenError("expires_in is not a number of seconds")
    margin_s = min(60.0, lifetime_s * 0.2)
    # it is used up to a little before its end: a call must not arrive after it
    ends_at = since + lifetime_s - min(5.0, margin_s / 2)
    return AccessToken(f"Bearer {token}".encode("ascii"), since, since + lifetime_s - margin_s, ends_at)
