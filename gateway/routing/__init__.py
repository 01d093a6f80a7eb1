"""Which route answers a request: patterns, the immutable table, rewriting. Knows no policies and no upstreams.

table = build_table((of_route(config), handler) for config in ...)      # or build_in_slices, which yields now and then
table.match(host, path, method, headers, query)                         # Match(route, params) | Miss(status, allow)
conflicts((of_route(config), config) for config in ...)                 # pairs that need a priority
"""

from gateway.routing.build import build_in_slices, build_table, dismantle
from gateway.routing.conflicts import conflicts
from gateway.routing.pattern import PatternError, RouteMatch, of_route, route_match
from gateway.routing.rewrite import PathOf, of_rewrite
from gateway.routing.table import NOT_FOUND, Match, Miss, RouteTable

__all__ = [
    "NOT_FOUND",
    "Match",
    "Miss",
    "PathOf",
    "PatternError",
    "RouteMatch",
    "RouteTable",
    "build_in_slices",
    "build_table",
    "conflicts",
    "dismantle",
    "of_rewrite",
    "of_route",
    "route_match",
]
