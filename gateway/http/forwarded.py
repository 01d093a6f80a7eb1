"""Who is calling through proxies (RFC 7239, X-Forwarded-*), and what is said of it to upstreams. Knows no socket.

Nothing that a caller writes about addresses, hosts or schemes is believed or passed on, unless the connection comes from
a trusted proxy, and then only in the fields that this proxy is said to write.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import Literal, NamedTuple

from gateway.api.addresses import AddressSet, parse_address
from gateway.api.messages import Field, Headers
from gateway.http.client_cert import CERTIFICATE_FIELDS, ClientCertHeader, certificate_reader
from gateway.http.fields import split_appended, split_parameters, split_plain
from gateway.http.host import BadHost, parse_authority

ForwardedHeader = Literal["none", "forwarded", "x-forwarded-for"]

_SET = frozenset((b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"))
# Fields that upstreams are known to believe: a caller's own never goes on
_CLAIMS = (
    _SET
    | CERTIFICATE_FIELDS
    | {
        b"forwarded",
        b"x-forwarded-by",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-scheme",
        b"x-forwarded-server",
        b"x-forwarded-ssl",
        b"x-real-ip",
    }
)


def _misspelt(name: bytes) -> Iterator[bytes]:
    """The other names of a field for upstreams that know fields as CGI variables (RFC 3875 §4.1.18): X_Forwarded-For."""
    first, *others = name.split(b"-")
    for joints in product((b"-", b"_"), repeat=len(others)):
        if b"_" in joints:
            yield first + b"".join(map(operator.add, joints, others))


_MISSPELT = frozenset(each for name in _CLAIMS for each in _misspelt(name))
_UNTRUSTED = _CLAIMS | _MISSPELT
# What a trusted proxy says beside the fields that it is said to write is believed as far as nothing contradicts it
_OF_TRUSTED: dict[ForwardedHeader, frozenset[bytes]] = {
    "none": _CLAIMS - CERTIFICATE_FIELDS,
    "forwarded": _CLAIMS - CERTIFICATE_FIELDS,
    "x-forwarded-for": _SET | {b"forwarded"},
}

_IPV4_PORT = re.compile(r"([0-9.]+):[0-9]+").fullmatch
_BRACKETS = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?").fullmatch
_SCHEMES = {b"http": "http", b"https": "https"}


class Caller(NamedTuple):
    """What is believed of the caller."""

    client: str  # address; "" when the connection is a Unix socket and nobody said more
    scheme: str  # http or https, as the caller used it
    authority: bytes  # the host that the caller asked for, as sent: the argument, or what a trusted proxy says it was
    trusted: bool  # the connection comes from a trusted proxy


class _Hop(NamedTuple):
    """How a proxy says that it was asked; empty: it says nothing."""

    scheme: bytes
    host: bytes


_NOTHING_SAID = _Hop(b"", b"")


class ProxyRules:
    """`proxy` of the configuration, compiled. Immutable but for a bounded cache of addresses seen."""

    __slots__ = ("_dropped", "_header", "_is_trusted", "certificate_of")

    def __init__(
        self, trusted: Iterable[str] = (), header: ForwardedHeader = "none", client_cert: ClientCertHeader = "none"
    ) -> None:
        """`trusted` are addresses or networks. Raises ValueError for anything else."""
        networks = AddressSet(trusted)
        self._header: ForwardedHeader = header
        # a certificate field that the proxies are not said to write is the caller's own, which came through them
        self._dropped = _OF_TRUSTED[header] | _MISSPELT | (CERTIFICATE_FIELDS if client_cert == "none" else frozenset())
        self.certificate_of = certificate_reader(client_cert)  # for fields of callers that apply() calls trusted
        # 0.1 µs for an address seen before, 1 µs and more for a new one
        self._is_trusted = lru_cache(maxsize=4096)(networks.holds) if networks else None

    def apply(self, headers: Headers, peer: str, scheme: str, authority: bytes) -> Caller:
        """Say who is calling, and make `headers` say so to upstreams; call it once, after hop-by-hop fields are gone.

        `peer` is the connection's address, "" on a Unix socket, whose other end is a trusted proxy as soon as any is.
        """
        if self._is_trusted is None or (peer and not self._is_trusted(peer)):
            for name, _ in headers:
                if name in _UNTRUSTED:
                    headers[:] = [field for field in headers if field[0] not in _UNTRUSTED]
                    break
            caller, fields = _direct(peer, scheme, authority)
            headers += fields
            return caller
        return self._through_proxy(headers, _canonical(peer) or "", scheme, authority)

    def _through_proxy(self, headers: Headers, peer: str, scheme: str, authority: bytes) -> Caller:
        dropped = self._dropped
        said: dict[bytes, bytes] = {}
        kept = []
        for field in headers:
            if field[0] in dropped:
                # RFC 9110 §5.3: fields of one name are one list
                said[field[0]] = b"%b, %b" % (said[field[0]], field[1]) if field[0] in said else field[1]
            else:
                kept.append(field)
        headers[:] = kept
        chain: list[bytes] = []
        hop = _NOTHING_SAID
        if self._header == "x-forwarded-for":
            # it has no quoted strings: the caller's quote must not swallow what proxies append
            chain = split_plain(said.get(b"x-forwarded-for", b""))
            client, at = self._rightmost_untrusted([_address(address) for address in chain], peer)
            hop = _Hop(
                _beside(said.get(b"x-forwarded-proto", b""), at, len(chain)),
                _beside(said.get(b"x-forwarded-host", b""), at, len(chain)),
            )
        elif self._header == "forwarded":
            elements = _forwarded_elements(said.get(b"forwarded", b""))
            client, at = self._rightmost_untrusted([_address(pairs.get(b"for", b"")) for pairs in elements], peer)
            hop = _Hop(_first(b"proto", elements[at:]), _first(b"host", elements[at:]))
            chain = [client.encode("ascii")] if client != peer else []
            mine = f'for="{_node(peer)}";proto={scheme}'.encode("ascii")
            headers.append((b"forwarded", b"%b, %b" % (said[b"forwarded"], mine) if elements else mine))
        else:
            client = peer
        if peer:
            chain.append(peer.encode("ascii"))
        caller = Caller(
            client,
            _SCHEMES.get(hop.scheme.lower(), scheme),
            hop.host if hop.host and _is_authority(hop.host) else authority,
            True,
        )
        headers += _said(caller, b", ".join(chain))
        return caller

    def _rightmost_untrusted(self, addresses: Sequence[str | None], peer: str) -> tuple[str, int]:
        """The client, and which of the proxies' entries tells how it asked."""
        # 1. From the right, each entry was written by a proxy that we trust, so it is believed.
        # 2. The first address that is no trusted proxy is the client: what stands left of it is hearsay.
        # 3. A hidden or malformed address ends the walk: the proxy that wrote it is the last known caller.
        client = peer
        for at in range(len(addresses) - 1, -1, -1):
            address = addresses[at]
            if address is None:
                return client, at
            client = address
            if self._is_trusted is not None and not self._is_trusted(address):
                return client, at
        return client, 0


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str | None:
    """The shortest form of an address, IPv4 also where a dual-stack socket wrote it as IPv6; None for anything else."""
    address = parse_address(text)
    return None if address is None else str(address)


@lru_cache(maxsize=4096)  # a caller seen before costs 0.2 µs, a new one 1.5
def _direct(peer: str, scheme: str, authority: bytes) -> tuple[Caller, tuple[Field, ...]]:
    """A caller whom no trusted proxy speaks for, and what upstreams are told of it."""
    client = peer if "." not in peer or ":" not in peer else _canonical(peer) or ""
    caller = Caller(client, scheme, authority, False)
    return caller, _said(caller, client.encode("ascii"))


def _said(caller: Caller, chain: bytes) -> tuple[Field, ...]:
    host = (b"x-forwarded-host", caller.authority)
    proto = (b"x-forwarded-proto", caller.scheme.encode("ascii"))
    return ((b"x-forwarded-for", chain), host, proto) if chain else (host, proto)


def _node(peer: str) -> str:
    """RFC 7239 §6: IPv6 in brackets; a proxy without an address is unknown."""
    return f"[{peer}]" if ":" in peer else peer or "unknown"


def _beside(raw: bytes, at: int, length: int) -> bytes:
    """The value of one entry: its own where each proxy appended one, else the last, which the proxy next to us wrote."""
    if b"," not in raw:
        return raw
    values = split_plain(raw)
    return values[at] if len(values) == length else values[-1] if values else b""


def _forwarded_elements(raw: bytes) -> list[dict[bytes, bytes]]:
    """The pairs of each proxy; none for an element that is malformed (RFC 7239 §4: nothing but parameters)."""
    parsed = (split_parameters(b";" + element) for element in split_appended(raw))
    return [pairs[1] if pairs is not None else {} for pairs in parsed]


def _first(name: bytes, elements: Sequence[dict[bytes, bytes]]) -> bytes:
    """What the proxy farthest out that says it says; those given are all believed."""
    return next((pairs[name] for pairs in elements if name in pairs), b"")


@lru_cache(maxsize=4096)
def _address(raw: bytes) -> str | None:
    """The address in `1.2.3.4`, `1.2.3.4:5678`, `2001:db8::1`, `[2001:db8::1]:5678`; None for anything else."""
    text = raw.decode("latin-1")
    bare = _BRACKETS(text) or _IPV4_PORT(text)
    return _canonical(bare[1] if bare else text)


def _is_authority(raw: bytes) -> bool:
    try:
        parse_authority(raw)
    except BadHost:
        return False
    return True
