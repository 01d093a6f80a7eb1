"""What the JSON API is sent for an operation: method, path, query, and the part of the content that is its body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from urllib.parse import quote, urlencode

from adapters.soap.config import Exposed
from adapters.soap.paths import Step, select
from gateway.api.errors import Unmappable
from gateway.api.exchange import Exchange
from gateway.api.placeholder import ROOTS, Placeholder, PlaceholderError, Template, as_text, compile_template

BODILESS: Final = frozenset(("GET", "DELETE"))


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One operation's call of the upstream, compiled."""

    method: str
    path: Template
    query: tuple[tuple[str, Template], ...]
    selected: tuple[Step, ...]
    into: tuple[Step, ...]

    @property
    def reads_content(self) -> bool:
        return any("body" in template.roots for template in (self.path, *(value for _, value in self.query)))

    def target(self, exchange: Exchange, content: object) -> bytes:
        """Path and query. Raises Unmappable where a segment has no value, or one that would lead elsewhere."""
        path = ""
        for part in self.path.parts:
            path += part if isinstance(part, str) else _segment(part, exchange, content)
        pairs: list[tuple[str, str]] = []
        for name, template in self.query:
            value = template.value(exchange, content)
            for one in value if isinstance(value, list) else [] if value is None else [value]:
                pairs.append((name, _text(one)))
        return (path + "?" + urlencode(pairs) if pairs else path).encode("ascii")

    def body(self, content: object) -> object:
        return select(content, self.selected) if self.selected else content


def compile_outgoing(settings: Exposed, selected: tuple[Step, ...], into: tuple[Step, ...]) -> Outgoing:
    """Raises PlaceholderError; ValueError for a path that cannot be a request target."""
    path = compile_template(settings.path, ROOTS)
    literals = "".join(part for part in path.parts if isinstance(part, str))
    if not settings.path.startswith("/") or any(not "!" <= char <= "~" or char in "?#" for char in literals):
        raise ValueError("a path begins with a slash and is ASCII without ? and #; parameters go to `query`")
    query = tuple((name, compile_template(_written(value), ROOTS)) for name, value in settings.query.items())
    return Outgoing(settings.method, path, query, selected, into)


def _written(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float) and not isinstance(value, Mapping):
        return as_text(value)
    raise PlaceholderError("a parameter is text, a number or a placeholder", 0)


def _segment(part: Placeholder, exchange: Exchange, content: object) -> str:
    value = part.lookup(exchange, content)
    text = _text(value) if value is not None and not isinstance(value, list | Mapping) else ""
    if text in ("", ".", ".."):  # RFC 3986 §5.2.4: dots would lead out of this path
        raise Unmappable(
            "a value is needed here that can stand in a path", pointer=part.name if part.root == "body" else ""
        )
    return quote(text, safe="")


def _text(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else as_text(value)
