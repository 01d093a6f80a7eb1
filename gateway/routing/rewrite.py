"""`rewrite`: the path that the upstream sees, compiled to one function. Knows no upstream and no query."""

from __future__ import annotations

from collections.abc import Callable

from gateway.api.settings.route import Rewrite
from gateway.routing.pattern import PathPattern, PatternError, parse_path, parse_template

PathOf = Callable[[str], bytes]
"""The path for the upstream, from the request's path in normal form."""


def of_rewrite(config: Rewrite | None, match: PathPattern) -> PathOf | None:
    """A route's rewriting, or None where the path goes on as it is. Raises PatternError."""
    if config is None:
        return None
    if config.path is not None:
        return fill_path(config.path, match)
    return strip_prefix(config.strip_prefix or "/", match)


def fill_path(template: str, match: PathPattern) -> PathOf:
    """`/internal/{name}`, with the segments that the match's placeholders stand for.

    They are taken from the path as it came, so `%2F` stays encoded and nothing is decoded and encoded anew. A final `/**`
    stands for the match's own rest. Raises PatternError when the match has no such placeholder, or no rest.
    """
    wanted = parse_template(template)
    if wanted.rest and not match.rest:
        raise PatternError("path", "the rewritten path ends in /**, but the match's path does not")
    pieces: list[str | int] = []
    names = iter(wanted.names)
    for part in wanted.segments:
        pieces.append(_position(match, next(names)) + 1 if part is None else part)
    if not wanted.names and not wanted.rest:
        fixed = str(wanted).encode("ascii")
        return lambda path: fixed
    depth = len(match.segments)

    def fill(path: str) -> bytes:
        segments = path.split("/")
        filled = [segments[piece] if isinstance(piece, int) else piece for piece in pieces]
        if wanted.rest:
            filled += segments[depth + 1 :]
        return ("/" + "/".join(filled)).encode("ascii")

    return fill


def _position(match: PathPattern, name: str) -> int:
    try:
        return match.position(name)
    except KeyError:
        raise PatternError("path", f"the match's path has no {{{name}}}") from None


def strip_prefix(prefix: str, match: PathPattern) -> PathOf:
    """Takes whole segments off the front: with `/v1`, `/v1/orders` becomes `/orders` and `/v1` becomes `/`.

    Raises PatternError unless every path that matches begins with the prefix.
    """
    taken = parse_path(prefix.rstrip("/") or "/")
    literal = taken.segments if taken.segments != ("",) else ()
    if taken.names or taken.rest or match.segments[: len(literal)] != literal:
        raise PatternError("strip_prefix", "not every path that the match takes begins with this prefix")
    length = len("".join(f"/{part}" for part in literal))
    return lambda path: path[length:].encode("ascii") or b"/"
