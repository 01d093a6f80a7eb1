"""What a request says to a cache: its key, whose answers it may have, its directives and conditions. Serves nothing."""

from __future__ import annotations

from gateway.api.exchange import Exchange
from policies.cache.conditions import CONDITIONS, ORIGIN_ONLY
from policies.cache.config import CacheConfig
from policies.cache.directives import Directives, parse_directives
from policies.cache.keys import CREDENTIALS, UNSAID, key_of, keyed, owner_of, url_by, url_of
from policies.cache.store import Key

_CONTROL = frozenset((b"cache-control", b"pragma"))
_NOTHING: Directives = {}


class Asked:
    """`owner` is "" for a request without credentials: it may have what is for everybody."""

    __slots__ = ("authorization", "conditional", "directives", "epoch", "key", "method", "owner", "public_key")

    def __init__(self, method: str, key: Key) -> None:
        self.method = method
        self.key = key
        self.public_key = key
        self.owner = ""
        self.directives = _NOTHING
        self.conditional = False
        self.epoch: bytes | None = None  # of its URL in a shared store; None: nobody looked
        self.authorization = False  # the field is there, and the gateway itself did not settle who its sender is


class Reader:
    """Reads the requests of one route."""

    def __init__(self, config: CacheConfig, route: str) -> None:
        query = config.key.query
        self.url_of = url_of if query == "all" else url_by(query)
        self._route = route
        self._obey = config.request_directives == "obey"
        self._keyed = UNSAID | {name.lower().encode("ascii") for name in config.key.headers}
        self._interesting = self._keyed | CREDENTIALS | _CONTROL | CONDITIONS | ORIGIN_ONLY

    def plain(self, exchange: Exchange) -> Key | None:
        """The key of a request that says nothing to a cache, as most do; None: read() tells what it says."""
        request = exchange.request
        if exchange.principal is not None or request.certificate:
            return None
        interesting = self._interesting
        for field in request.headers:
            if field[0] in interesting:
                return None
        return self.url_of(request), self._route

    def read(self, exchange: Exchange) -> Asked | None:
        """None: the request is for the origin alone."""
        request = exchange.request
        asked = Asked(request.method, (self.url_of(request), self._route))
        headers = exchange.request.headers
        isolated = exchange.principal is not None or bool(exchange.request.certificate)
        names = {name for name, _ in headers} & self._interesting
        if names & ORIGIN_ONLY:
            return None
        if names & CREDENTIALS:
            isolated = True
            asked.authorization = b"authorization" in names and exchange.principal is None
        asked.conditional = bool(names & CONDITIONS)
        if self._obey:
            if b"cache-control" in names:
                asked.directives = parse_directives(headers.get_all(b"cache-control"))
            elif b"pragma" in names:  # RFC 9111 §5.4
                asked.directives = parse_directives(headers.get_all(b"pragma"))
        said = keyed(self._keyed, headers) if names & self._keyed else ""
        url = asked.key[0]
        asked.key = asked.public_key = key_of(url, self._route, "", said)
        if isolated:
            asked.owner = owner_of(exchange, headers)
            asked.key = key_of(url, self._route, asked.owner, said)
        return asked
