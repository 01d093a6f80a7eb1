"""The YAML block of retry."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from gateway.api.config import Duration, PolicyBlock, Share

Word = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if type(value) is int else value, json_schema_input_type=str | int),
    Field(pattern=r"^(connect|reset|timeout|429|5\d\d)$"),
]


class RetryConfig(PolicyBlock):
    """Tries again, on another target where there is one, what failed and may be repeated."""

    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """Most tries of a call, the first included."""
    on: Annotated[tuple[Word, ...], Field(min_length=1)] = ("connect", "reset", "timeout", "502", "503", "504")
    """After what: connect, reset, timeout, or an answer's status (429, or one from 500 on)."""
    backoff: Annotated[Duration, Field(gt=0)] = 0.05
    """Longest wait before the second try; doubled for each further one. The wait is drawn between none and that (full jitter)."""
    max_backoff: Annotated[Duration, Field(gt=0)] = 1.0
    """Where the doubling ends."""
    budget: Share = 0.2
    """Most retries, as a share of the calls to the upstream in the last 10 s; 10 in any 10 s go beyond it."""
    respect_retry_after: bool = True
    """Wait at least as long as an answer's Retry-After says; where the deadline comes first, give that answer."""

    @model_validator(mode="after")
    def _growing(self) -> RetryConfig:
        if self.max_backoff < self.backoff:
            raise ValueError("max_backoff is shorter than backoff")
        return self
