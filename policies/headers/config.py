"""The YAML block of headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator, model_validator

from gateway.api.config import Block, Duration, Name, PolicyBlock, Secret, SecretField
from gateway.api.placeholder import compile_template
from gateway.http.fields import is_field_value, is_token

# RFC 9110 §7.6.1 and RFC 9112 §6: these belong to one connection, and the gateway writes its own
_FRAMING = frozenset(
    (
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_LEAST_KEY = 32  # octets; RFC 2104 §3: not shorter than the hash


def _name(text: str) -> str:
    if not is_token(text.encode()):
        raise ValueError(f"'{text}' is not a header's name")
    if text.lower() in _FRAMING:
        raise ValueError(f"{text} belongs to a single connection; the gateway writes its own and none can be given")
    if text.lower() == "host":
        raise ValueError("Host is decided by the upstream's field `host`")
    return text


def _value(text: str) -> str:
    for part in compile_template(text).parts:
        # fields are octets; those beyond ASCII are written as latin-1, as HTTP/1 always did (RFC 9110 §5.5)
        if isinstance(part, str) and (max(part) > "\xff" or not is_field_value(part.strip(" \t").encode("latin-1"))):
            raise ValueError("not a header's value: it has no control characters and none beyond latin-1")
    if text != text.strip(" \t") or not text:
        raise ValueError("a header's value is not empty and has no blanks at its ends; use remove to take it away")
    return text


def _names_differ(fields: Mapping[str, str]) -> Mapping[str, str]:
    seen: dict[str, str] = {}
    for name in fields:
        if name.lower() in seen:
            raise ValueError(f"{seen[name.lower()]} and {name} are one header: its name ignores case")
        seen[name.lower()] = name
    return fields


FieldName = Annotated[str, AfterValidator(_name)]
FieldValue = Annotated[str, AfterValidator(_value)]
Fields = Annotated[Mapping[FieldName, FieldValue], AfterValidator(_names_differ)]


class Edits(Block):
    """Changes of one message: `remove` first, then `set`, then `add`."""

    set: Fields = Field(default_factory=dict)
    """Fields that are there once, with this value; whatever the sender gave under the name is taken away."""
    add: Fields = Field(default_factory=dict)
    """Fields that are appended to what is there."""
    remove: tuple[FieldName, ...] = ()
    """Fields that are taken away."""

    @model_validator(mode="after")
    def _set_or_add(self) -> Edits:
        added = {name.lower() for name in self.add}
        for name in self.set:
            if name.lower() in added:
                raise ValueError(f"{name} is both set and added; what is set is there once")
        return self


class Signing(Block):
    """A signature of request fields (RFC 9421), by which the upstream knows that the gateway wrote them, and for this call."""

    secret: SecretField
    """What the upstream checks it with (HMAC-SHA256): a reference to at least 32 octets."""
    fields: tuple[FieldName, ...] = ()
    """The fields that are signed, where they are there; those under `set` when left out."""
    id: Name = "sluicegate"
    """Names the key (`keyid`), for upstreams that know several while it is changed."""
    expires: Duration = 60.0
    """How long the signature is good."""

    @field_validator("secret")
    @classmethod
    def _long(cls, secret: Secret) -> Secret:
        if len(secret.encode()) < _LEAST_KEY:
            raise ValueError(f"a key has at least {_LEAST_KEY} octets; `openssl rand -hex 32` makes one")
        return secret


class RequestEdits(Edits):
    """Changes of the request; a field that `add` fills with who is calling is no longer the caller's either."""

    sign: Signing | None = None
    """Signs what was set."""

    @model_validator(mode="after")
    def _signs_something(self) -> RequestEdits:
        if self.sign is not None and not self.set and not self.sign.fields:
            raise ValueError("sign has nothing to sign: write fields under `set`, or name them under `sign.fields`")
        return self


class HeadersConfig(PolicyBlock):
    """Header fields set, added and removed, both ways."""

    request: RequestEdits = RequestEdits()
    """Changes of the request, before the upstream sees it."""
    response: Edits = Edits()
    """Changes of the upstream's answer, before the caller sees it."""

    @model_validator(mode="after")
    def _says_something(self) -> HeadersConfig:
        changes = any((edits.set or edits.add or edits.remove) for edits in (self.request, self.response))
        if not changes and self.request.sign is None:
            raise ValueError("a headers block needs set, add or remove under request or response")
        return self
