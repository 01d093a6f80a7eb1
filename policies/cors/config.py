"""The YAML block of cors."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from gateway.api.config import Duration, PolicyBlock
from gateway.http.fields import is_token

_ORIGIN = re.compile(r"https?://(\*\.)?([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_DEFAULT_PORT = {"http": ":80", "https": ":443"}


def _origin(text: str) -> str:
    """An origin as browsers write it: lower case, without the scheme's own port (HTML, serialization of an origin)."""
    if text in ("*", "null"):
        return text
    plain = text.lower()
    if not _ORIGIN.fullmatch(plain):
        raise ValueError("not an origin; write https://app.example.com, https://*.example.com or '*', without a path")
    return plain.removesuffix(_DEFAULT_PORT[plain.partition(":")[0]])


def _token(text: str) -> str:
    if not is_token(text.encode()):
        raise ValueError("not a header's name")
    return text


Origin = Annotated[str, AfterValidator(_origin)]
FieldName = Annotated[str, AfterValidator(_token)]


class CorsConfig(PolicyBlock):
    """Calls from web pages of other origins."""

    origins: Annotated[tuple[Origin, ...], Field(min_length=1)]
    """Origins whose pages may call: exact, `https://*.example.com` (any depth, not the domain itself), `null`, or `*` for all."""
    methods: tuple[Annotated[str, Field(pattern=r"^[A-Z][A-Z_-]*$")], ...] | None = None
    """Methods that pages may use; those the route answers, when left out."""
    headers: tuple[FieldName, ...] | Literal["*"] = "*"
    """Request headers that pages may set; `*` for all they ask for."""
    expose: tuple[FieldName, ...] = ()
    """Response headers that pages may read, beside the safelisted ones."""
    credentials: bool = False
    """Whether pages may send cookies and other credentials of the browser."""
    max_age: Duration = 600.0
    """How long browsers may remember the answer to a preflight."""

    @model_validator(mode="after")
    def _credentials_need_origins(self) -> CorsConfig:
        # Fetch §3.3.5 forbids the pair; echoing any origin instead would let every site act as the signed-in user
        if self.credentials and "*" in self.origins:
            raise ValueError(
                "credentials: true with origins: '*' would let every site act for the user; name the origins"
            )
        if len(self.origins) > 1 and "*" in self.origins:
            raise ValueError("'*' already stands for every origin; name it alone, or name the others")
        return self
