"""Edits of header fields, compiled, and their signature. Knows a message's fields and the values to fill in, nothing of routes."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence

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


_SIGNATURE = frozenset((b"signature", b"signature-input"))


class Signer:
    """Signs the method and some fields of a request by HMAC-SHA256 (RFC 9421 §3.3.3)."""

    __slots__ = ("_key", "_label", "_lives_s", "_names")

    def __init__(self, names: Iterable[str], key_id: str, secret: str, lives_s: float) -> None:
        self._names: Sequence[bytes] = tuple(dict.fromkeys(name.lower().encode() for name in names))
        self._label = key_id.encode()
        self._key = secret.encode()
        self._lives_s = lives_s

    def apply(self, fields: Headers, method: str, now: float) -> None:
        """Add Signature and Signature-Input in place of the caller's own; `now` is Unix seconds. What is not there is not named."""
        components, lines = [b'"@method"'], [b'"@method": ' + method.encode()]
        for name in self._names:
            # §2.1: without blanks around each, joined as one list
            values = [value.strip(b" \t") for field, value in fields if field == name]
            if not values:
                continue
            component = b'"%b"' % name
            if not all(map(bytes.isascii, values)):  # §2.1.3: what is signed is ASCII, so others go in base64
                component += b";bs"
                values = [b":%b:" % b64encode(value) for value in values]
            components.append(component)
            lines.append(b"%b: %b" % (component, b", ".join(values)))
        label = self._label
        # §2.3, in the order in which §2.5 signs them
        parameters = b'(%b);created=%d;expires=%d;keyid="%b";alg="hmac-sha256"' % (
            b" ".join(components),
            now,
            now + self._lives_s,
            label,
        )
        lines.append(b'"@signature-params": ' + parameters)
        signature = b64encode(hmac.digest(self._key, b"\n".join(lines), "sha256"))
        fields[:] = [field for field in fields if field[0] not in _SIGNATURE]
        fields.append((b"signature-input", b"%b=%b" % (label, parameters)))
        fields.append((b"signature", b"%b=:%b:" % (label, signature)))
