"""What keeps stored answers apart: URL, route, principal, and fields that upstreams obey without saying so. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import orjson

from gateway.api.errors import RequestRefused
from gateway.api.exchange import Exchange, Principal
from gateway.api.messages import Headers, Request
from gateway.http.target import normal_path
from policies.cache.store import Key

# Frameworks let these change method, path or links of an answer, and no Vary names them: whoever sends one has a key apart
UNSAID = frozenset(
    (
        b"forwarded",
        b"x-forwarded-path",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-scheme",
        b"x-forwarded-server",
        b"x-forwarded-ssl",
        b"x-host",
        b"x-http-host-override",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-original-host",
        b"x-original-url",
        b"x-rewrite-url",
        b"x-url-scheme",
        b"front-end-https",
    )
)
CREDENTIALS = frozenset((b"authorization", b"cookie"))
_OF_ONE_TOKEN = frozenset(("exp", "iat", "nbf", "jti", "auth_time"))  # they change while the caller stays the same


def url_of(request: Request) -> str:
    """As callers write it; path in its normal form."""
    place = f"{request.scheme}://{request.authority.decode('latin-1').lower()}{request.path}"
    return f"{place}?{request.query.decode('latin-1')}" if request.query else place


def url_by(parameters: tuple[str, ...]) -> Callable[[Request], str]:
    """url_of() with these parameters only, in the order of their names."""
    wanted = frozenset(name.encode("utf-8") for name in parameters)

    def chosen(request: Request) -> str:
        place = f"{request.scheme}://{request.authority.decode('latin-1').lower()}{request.path}"
        pairs = [
            pair
            for pair in request.query.split(b"&")
            if unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" ")) in wanted
        ]
        # stable: of one name the order counts
        pairs.sort(key=lambda pair: pair.partition(b"=")[0])
        return f"{place}?{b'&'.join(pairs).decode('latin-1')}" if pairs else place

    return chosen


def same_origin(request: Request, said: bytes) -> Request | None:
    """`request` with the target that a URI reference names (Location); None when it is of another origin, or none at all.

    Of the same origin only (RFC 9111 §4.4): others cannot be made to forget.
    """
    try:
        own = urlsplit(url_of(request))
        target = urlsplit(urljoin(own.geturl(), said.decode("ascii")))
        if (target.scheme, target.netloc.lower()) != (own.scheme, own.netloc):
            return None
        return replace(
            request, path=normal_path(target.path.encode("ascii") or b"/"), query=target.query.encode("ascii")
        )
    except (ValueError, RequestRefused):
        return None


def owner_of(exchange: Exchange, headers: Headers) -> str:
    """Who the caller is, as far as an upstream could tell; "" without any credentials.

    The claims count, for header policies may pass them on; so do the credentials that go upstream as they are.
    """
    principal = exchange.principal
    digest = hashlib.sha256()
    if principal is not None:
        digest.update(_principal(principal))
    elif exchange.request.certificate:
        digest.update(exchange.request.certificate)
    for name, value in headers:
        if name in CREDENTIALS:
            digest.update(b"\n%b:%d:%b" % (name, len(value), value))
    return digest.hexdigest()


def keyed(names: frozenset[bytes], headers: Headers) -> str:
    """The fields of these names, unambiguously."""
    found = sorted(one for one in headers if one[0] in names)
    return hashlib.sha256(repr(found).encode("ascii")).hexdigest() if found else ""


def key_of(url: str, route: str, owner: str, said: str) -> Key:
    return url, f"{route} {owner} {said}" if owner or said else route


def _principal(principal: Principal) -> bytes:
    if not principal.claims:
        return principal.key.encode("utf-8", "surrogatepass")
    claims = {name: value for name, value in principal.claims.items() if name not in _OF_ONE_TOKEN}
    return orjson.dumps([principal.key, claims], default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
