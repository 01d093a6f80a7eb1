"""What finding a route and the pure work on a request's head cost, piece by piece.

    python loadtests/micro/routing.py

Every figure is the best of many runs, in µs of CPU. "in turn" asks for routes all over the table, so that what the
processor's caches cannot hold shows; the same with ten routes is the measure for it.
"""

from __future__ import annotations

import itertools
import timeit
from collections.abc import Callable
from time import process_time

from gateway.api.messages import Headers
from gateway.http.forwarded import ProxyRules
from gateway.http.hop_by_hop import strip_request
from gateway.http.host import parse_authority
from gateway.http.request_id import RequestIds
from gateway.http.target import normal_path
from gateway.http.trace import trace_id_of
from gateway.routing import RouteTable, build_in_slices, dismantle, route_match

FIELDS = [
    (b"host", b"api.example"),
    (b"user-agent", b"partner/1.0"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip"),
    (b"authorization", b"Bearer eyJ"),
    (b"content-type", b"application/json"),
    (b"content-length", b"120"),
    (b"x-request-id", b"0af7651916cd43dd8448eb211c80319c"),
]


def show(what: str, call: Callable[[], object], calls: int = 1) -> None:
    best = min(timeit.repeat(call, number=1000 // calls, repeat=60, timer=process_time))
    print(f"{what:54} {best * 1e6 / (1000 // calls) / calls:7.2f}")


def pieces() -> None:
    headers, alive = Headers(FIELDS), Headers([*FIELDS, (b"connection", b"keep-alive")])
    named, none = Headers([*FIELDS, (b"connection", b"x-a, close")]), ProxyRules()
    trusted = ProxyRules(["10.0.0.0/8"], "x-forwarded-for")
    ids = RequestIds(lambda count: b"\x01" * count)
    show("normal_path /status", lambda: normal_path(b"/status"))
    show("normal_path /customers/12345/orders/99", lambda: normal_path(b"/customers/12345/orders/99"))
    show("normal_path /a/%7euser/../b%2fc (rewritten)", lambda: normal_path(b"/a/%7euser/../b%2fc"))
    show("parse_authority, seen before", lambda: parse_authority(b"api.example:8443"))
    show("strip_request, 8 fields", lambda: strip_request(headers))
    show("strip_request, with Connection: keep-alive", lambda: strip_request(alive))
    show("strip_request, with fields named in Connection", lambda: strip_request(named))
    show("a copy of 8 fields", lambda: Headers(headers))
    show("copy + ProxyRules.apply, nothing trusted", lambda: none.apply(Headers(headers), "192.0.2.1", "http", b"h"))
    forwarded = Headers([*FIELDS, (b"x-forwarded-for", b"192.0.2.1"), (b"x-forwarded-proto", b"https")])
    show("copy + ProxyRules.apply, trusted proxy", lambda: trusted.apply(Headers(forwarded), "10.0.0.1", "http", b"h"))
    show("request id, new", ids.new)
    show("request id, the caller's", lambda: ids.choose(b"0af7651916cd43dd8448eb211c80319c"))
    show("traceparent", lambda: trace_id_of(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))


def tables(count: int) -> None:
    routes = [
        (route_match(f"/service{at}/items" + ("/{id}/parts/{part}" if at % 2 else ""), method="GET"), at)
        for at in range(count)
    ]
    slices, steps = [], build_in_slices(routes)
    table: RouteTable[int]
    for _ in itertools.count():
        begun = process_time()
        try:
            next(steps)
        except StopIteration as done:
            table = done.value
            break
        finally:
            slices.append(process_time() - begun)
    print(f"{count} routes: built in {sum(slices) * 1e3:.1f} ms of CPU, the longest slice {max(slices) * 1e3:.2f} ms")
    spread = range(0, count, max(2, count // 1000 * 2))
    exact = [f"/service{at}/items" for at in spread]
    holes = [f"/service{at + 1}/items/abc/parts/def" for at in spread]
    match, headers = table.match, Headers(FIELDS)

    def each(paths: list[str]) -> Callable[[], object]:
        return lambda: [match("api.example", path, "GET", headers, b"") for path in paths]

    show("  exact path, one", lambda: match("api.example", exact[0], "GET", headers, b""))
    show("  exact paths, in turn", each(exact), len(exact))
    show("  two placeholders, one", lambda: match("api.example", holes[0], "GET", headers, b""))
    show("  two placeholders, in turn", each(holes), len(holes))
    show("  404", lambda: match("api.example", "/nothing/here", "GET", headers, b""))
    show("  405", lambda: match("api.example", exact[0], "PUT", headers, b""))
    begun = process_time()
    longest = 0.0
    for _ in dismantle(table):
        longest, begun = max(longest, process_time() - begun), process_time()
    print(f"  taken apart, the longest slice {longest * 1e3:.2f} ms")


if __name__ == "__main__":
    pieces()
    for size in (10, 10_000):
        tables(size)
