"""Where a route's answers stand in the store: each caller's own, and what is for everybody. Knows freshness of nothing."""

from __future__ import annotations

from collections.abc import Callable

from gateway.api.messages import Headers
from gateway.api.orders import Purge
from policies.cache.asked import Asked
from policies.cache.core import Stored
from policies.cache.shared import SharedStore
from policies.cache.store import MOST_USES, Key, MemoryStore


class Shelf:
    """`apart`: not even what is marked public is shared among callers with credentials."""

    def __init__(
        self, store: MemoryStore, shared: SharedStore | None, spread: Callable[[object], None], *, apart: bool
    ) -> None:
        self.store = store
        self.shared = shared
        self._spread = spread
        self._page = store.page
        self._apart = apart

    def fresh(self, key: Key, headers: Headers, now: float) -> Stored | None:
        """For a plain request: the stored answer that serves it without asking anybody."""
        page = self._page(key)
        if page is None:
            return None
        stored = page.select(headers)
        # as Stored.fresh_for_s, without its calls
        if stored is None or now - stored.born_s >= stored.lifetime_s or stored.kind.no_cache:
            return None
        if page.uses < MOST_USES:
            page.uses += 1
        return stored

    def find(self, asked: Asked, headers: Headers) -> tuple[Stored | None, bool]:
        """The stored answer that the request selects; and whether there are others of the same key."""
        elsewhere = False
        page = self._page(asked.key)
        if page is not None:
            if page.uses < MOST_USES:
                page.uses += 1
            stored = page.select(headers)
            if stored is not None:
                return stored, True
            elsewhere = True
        if asked.owner and not self._apart:
            page = self._page(asked.public_key)
            if page is not None:
                for stored in page.variants:
                    if stored.kind.public and stored.selector.selects(headers):
                        page.uses = min(MOST_USES, page.uses + 1)
                        return stored, True
        return None, elsewhere

    def put(self, asked: Asked, stored: Stored, replaced: Stored | None, changes: int) -> bool:
        """False: it was not stored. `changes` were the store's when the upstream was asked."""
        if self.store.changed_since(asked.key[0], changes):
            return False
        if replaced is not None and self._key(asked, replaced) != self._key(asked, stored):
            self.forget(asked, replaced)  # it was for everybody and is no more, or the other way round
        key = self._key(asked, stored)
        kept = self.store.put(key, stored, replaced)
        if kept and self.shared is not None:
            self.shared.save(asked, key, stored)
        return kept

    def forget(self, asked: Asked, stored: Stored) -> None:
        self.store.drop(asked.key, stored)
        self.store.drop(asked.public_key, stored)
        if self.shared is not None:
            self.shared.invalidate(asked.key[0])  # more than is needed, and rare

    def invalidate(self, url: str) -> None:
        """Forget what is stored of a URL, here and in all other workers."""
        self.store.invalidate(url)
        if self.shared is not None:
            self.shared.invalidate(url)
        self._spread(Purge(url=url))

    def _key(self, asked: Asked, stored: Stored) -> Key:
        return asked.public_key if stored.kind.public and not self._apart else asked.key
