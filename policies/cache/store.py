"""Stored answers in this process's memory, bounded in octets. Knows freshness of nothing and waits for nothing.

Admission and eviction are S3-FIFO's (Yang et al., SOSP 2023): what is new passes a small queue, and only what was asked for again
while it was there enters the main one. Half of what partners ask for once never displaces what they ask for all day.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection
from weakref import WeakKeyDictionary

from gateway.api.messages import Headers
from gateway.api.orders import Answered, Purge
from policies.cache.core import Stored
from policies.cache.selection import ANY

Key = tuple[str, str]
"""The URL, and whatever else keeps answers apart: route, principal, keyed fields."""

MAX_VARIANTS = 32  # of one key: a Vary on something endless must not fill the memory
SMALL_SHARE = 0.1
MOST_USES = 3
USES_TO_STAY = 1  # while in the small queue
MIN_SWEEP = 1000  # places in the queues that forgotten pages may always hold
MAX_CHANGES = 10_000  # URLs whose last invalidation is known one by one


class Page:
    """All that is stored of one key."""

    __slots__ = ("beside", "in_main", "newest", "older", "rest", "url", "uses", "version")

    def __init__(self, key: Key, *, in_main: bool) -> None:
        self.url, self.rest = key  # apart: the pair would take 72 octets
        self.newest: Stored | None = None  # None: not yet there, or forgotten while it stands in a queue
        self.older: tuple[Stored, ...] = ()  # other variants; apart, since most have none
        self.uses = 0
        self.in_main = in_main
        self.version = b""  # of the same page in a shared store
        self.beside: dict[str, Page] | None = None  # other pages of its URL, by `rest`, where it is the first of them

    @property
    def variants(self) -> tuple[Stored, ...]:
        """The newest first."""
        return () if self.newest is None else (self.newest, *self.older)

    @property
    def size(self) -> int:
        return sum(one.size for one in self.variants)

    def select(self, headers: Headers) -> Stored | None:
        """The newest that a request with these fields selects."""
        newest = self.newest
        if newest is not None and (newest.selector is ANY or newest.selector.selects(headers)):
            return newest
        for stored in self.older:
            if stored.selector.selects(headers):
                return stored
        return None


class MemoryStore:
    """One a worker: all its routes share it, so that an unsafe request on one is heard by the others."""

    def __init__(self) -> None:
        # By URL, for those of all callers may have to go at once: the first, which knows the others. Most are alone, and
        # a dictionary for each URL takes 230 octets
        self._first: dict[str, Page] = {}
        self.size = 0
        self._count = 0  # of pages
        # Queues that forgotten pages stay in until their turn comes: 8 octets a page, an OrderedDict takes 170
        self._small: deque[Page] = deque()
        self._main: deque[Page] = deque()
        self._small_size = 0
        self._ghosts: OrderedDict[int, None] = OrderedDict()  # hashes of keys that left the small queue lately
        self._limits: WeakKeyDictionary[object, int] = WeakKeyDictionary()
        self.changes = 0  # invalidations so far
        self._changed: OrderedDict[str, int] = OrderedDict()  # URL -> its last one, the latest at the end
        self._all_changed = 0  # one that may have been of any URL

    def bound(self, user: object, limit_bytes: int) -> None:
        """`user` wants room for so many octets while it lives; the largest wish counts."""
        self._limits[user] = limit_bytes

    @property
    def limit(self) -> int:
        return max(self._limits.values(), default=0)

    def page(self, key: Key) -> Page | None:
        first = self._first.get(key[0])
        if first is None or first.rest == key[1]:
            return first
        return None if first.beside is None else first.beside.get(key[1])

    def pages(self, url: str) -> list[Page]:
        """All that is stored of a URL."""
        first = self._first.get(url)
        return [] if first is None else [first, *(first.beside or {}).values()]

    def all_pages(self) -> list[Page]:
        pages = list(self._first.values())
        pages += [page for first in pages for page in (first.beside or {}).values()]
        return pages

    def put(self, key: Key, stored: Stored, replaced: Stored | None = None) -> bool:
        """Keep `stored` instead of whatever the same requests selected. False when it is larger than the small queue."""
        limit = self.limit
        if stored.size > limit * SMALL_SHARE:
            return False
        page = self.page(key)
        if page is None:
            page = self._enter(key)
        others = [one for one in page.variants if one is not replaced and one.selector != stored.selector]
        self._resize(page, (stored, *others[: MAX_VARIANTS - 1]))
        self._make_room(limit)
        return True

    def replace(self, key: Key, variants: tuple[Stored, ...], version: bytes) -> None:
        """Hold just these of a key, as a shared store does."""
        page = self.page(key)
        if not variants:
            if page is not None:
                self._remove(page)
            return
        if page is None:
            page = self._enter(key)
        page.version = version
        self._resize(page, variants)
        self._make_room(self.limit)

    def drop(self, key: Key, stored: Stored) -> None:
        """Forget one variant, if it is still there."""
        page = self.page(key)
        if page is not None and stored in page.variants:
            self._forget(page, (stored,))

    def invalidate(self, url: str) -> int:
        """Forget everything that is stored of a URL, of all callers."""
        self.changes += 1
        self._changed.pop(url, None)
        self._changed[url] = self.changes
        if len(self._changed) > MAX_CHANGES:
            _, self._all_changed = self._changed.popitem(last=False)
        pages = self.pages(url)
        count = sum(len(page.variants) for page in pages)
        for page in pages:
            self._remove(page)
        return count

    def changed_since(self, url: str, changes: int) -> bool:
        """Whether an answer that was asked for when there had been so many invalidations tells of a time before one."""
        return max(self._changed.get(url, 0), self._all_changed) > changes

    def carry_out(self, order: object) -> Answered | None:
        """A purge by operators; how many answers were forgotten. Prefix and tag look at all: about 0.5 and 1.5 µs each."""
        if not isinstance(order, Purge):
            return None
        if order.url is not None:
            return self.invalidate(order.url)
        self.changes += 1
        self._all_changed = self.changes
        prefix, tag = order.prefix, (order.tag or "").encode("utf-8")
        forgotten = 0
        for page in self.all_pages():
            if prefix is None:
                gone = [one for one in page.variants if one.has_tag(tag)]
            else:
                gone = list(page.variants) if page.url.startswith(prefix) else []
            if gone:
                self._forget(page, gone)
                forgotten += len(gone)
        return forgotten

    def _forget(self, page: Page, gone: Collection[Stored]) -> None:
        kept = tuple(one for one in page.variants if one not in gone)
        if kept:
            self._resize(page, kept)
        else:
            self._remove(page)

    def _enter(self, key: Key) -> Page:
        came_back = hash(key) in self._ghosts
        page = Page(key, in_main=came_back)
        first = self._first.setdefault(page.url, page)
        if first is not page:
            first.beside = first.beside or {}
            first.beside[page.rest] = page
        self._count += 1
        if len(self._small) + len(self._main) > 2 * self._count + MIN_SWEEP:
            self._sweep()  # before the page, which is empty yet, takes its place
        if came_back:
            del self._ghosts[hash(key)]
            self._main.append(page)
        else:
            self._small.append(page)
        return page

    def _resize(self, page: Page, variants: tuple[Stored, ...]) -> None:
        before = page.size
        page.newest, page.older = (variants[0], variants[1:]) if variants else (None, ())
        grown = page.size - before
        self.size += grown
        if not page.in_main:
            self._small_size += grown

    def _remove(self, page: Page) -> None:
        self._resize(page, ())
        self._count -= 1
        first = self._first[page.url]
        if first is not page:
            assert first.beside is not None, "it stands there"
            del first.beside[page.rest]
        elif page.beside:
            _, after = page.beside.popitem()
            after.beside, page.beside = page.beside or None, None
            self._first[page.url] = after
        else:
            del self._first[page.url]

    def _sweep(self) -> None:
        """Let go of forgotten pages whose turn would come late: their owners forget much and store little."""
        self._small = deque(page for page in self._small if page.newest is not None)
        self._main = deque(page for page in self._main if page.newest is not None)

    def _make_room(self, limit: int) -> None:
        while self.size > limit:
            if self._small_size > limit * SMALL_SHARE or not self._main:
                self._leave_small()
                continue
            page = self._main.popleft()
            if page.newest is None:
                continue
            if page.uses:
                page.uses -= 1
                self._main.append(page)
            else:
                self._remove(page)

    def _leave_small(self) -> None:
        page = self._small.popleft()
        if page.newest is None:
            return
        if page.uses >= USES_TO_STAY:
            self._small_size -= page.size
            page.in_main, page.uses = True, 0
            self._main.append(page)
            return
        self._remove(page)
        self._ghosts[hash((page.url, page.rest))] = None
        if len(self._ghosts) > max(1024, len(self._main)):
            self._ghosts.popitem(last=False)
