"""The YAML block of compress."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from gateway.api.config import PolicyBlock, Size

Coding = Literal["br", "zstd", "gzip"]


class CompressConfig(PolicyBlock):
    """Answers are coded on the way out, as their callers can read them."""

    encodings: Annotated[tuple[Coding, ...], Field(min_length=1)] = ("br", "zstd", "gzip")
    """Codings to use; of those that a caller wants equally the first."""
    min_size: Size = 1024
    """Shorter bodies are sent as they are. A body of unknown length is coded."""
    max_size: Size = 32 * 1024 * 1024
    """Memory on the machine for coded answers that may be asked for again, of all routes together; the largest figure of
    any route counts. 0B: none is kept."""

    @field_validator("encodings")
    @classmethod
    def _each_once(cls, encodings: tuple[Coding, ...]) -> tuple[Coding, ...]:
        if len(set(encodings)) < len(encodings):
            raise ValueError("a coding is named twice")
        return encodings
