"""The YAML block of breaker."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from gateway.api.config import Duration, PolicyBlock, Share

Positive = Annotated[Duration, Field(gt=0)]
Word = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if type(value) is int else value, json_schema_input_type=str | int),
    Field(pattern=r"^(connect|reset|timeout|5xx|5\d\d)$"),
]


class BreakerConfig(PolicyBlock):
    """Opens when an upstream fails too often: calls are then refused at once, until some let through as probes succeed."""

    failures: Annotated[int, Field(ge=1)] = 5
    """Failures in a row that open it, however few calls there were."""
    error_rate: Annotated[Share, Field(gt=0)] = 0.5
    """Share of failures within the window that opens it."""
    window: Positive = 10.0
    """Seconds over which the error rate is taken."""
    min_requests: Annotated[int, Field(ge=1)] = 20
    """Calls within the window below which the error rate says nothing."""
    open: Positive = 30.0
    """How long it stays open before probes are let through."""
    probes: Annotated[int, Field(ge=1)] = 1
    """Calls that are let through, and must all succeed, to close it."""
    count: Annotated[tuple[Word, ...], Field(min_length=1)] = ("connect", "reset", "timeout", "5xx")
    """What is a failure: connect, reset, timeout, 5xx, or single statuses from 500 on."""
    store: str | None = None
    """Where machines tell each other that it opened, by name or URL; workers of one machine do so without."""
