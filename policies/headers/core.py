"""Edits of header fields, compiled. Knows a message's fields and the values to fill in, nothing of routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.api.exchange import Exchange
from gateway.api.messages import Field, Headers
from gateway.api.placeholder import Template, compile_template


class Edit:
    """What happens to the fields of one kind of message."""

    __slots__ = ("_constant", "_dropped", "_filled")

    def __init__(self, set_: Mapping[str, str], add: Mapping[str, str], remove: Iterable[str]) -> None:
        self._dropped = frozenset(name.lower().encode() for name in (*set_, *remove))
        written = [(name.lower().encode(), compile_template(text)) for name, text in (*set_.items(), *add.items())]
        self._constant: tuple[Field, ...] = tuple(
            (name, template.constant.encode("latin-1")) for name, template in written if template.constant is not None
        )
        self._filled: tuple[tuple[bytes, Template], ...] = tuple(
            (name, template) for name, template in written if template.constant is None
        )

    def apply(self, fields: Headers, exchange: Exchange) -> None:
        """Change `fields` in place. A field whose placeholder has no value is not there afterwards."""
        # Placeholders read the message before it is changed: `{header.X}` may name a field that goes
        filled: list[Field] = []
        for name, template in self._filled:
            value = template.field_value(exchange)
            if value is not None:
                filled.append((name, value))
        dropped = self._dropped
        if dropped:
            # CGI and WSGI upstreams read X_User and X-User as one, so neither spelling may come from outside
            fields[:] = [
                field
                for field in fields
                if field[0] not in dropped and (b"_" not in field[0] or field[0].replace(b"_", b"-") not in dropped)
            ]
        fields += self._constant
        fields += filled
