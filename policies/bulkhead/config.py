"""The YAML block of bulkhead."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.api.config import Duration, PolicyBlock


class BulkheadConfig(PolicyBlock):
    """At most so many calls are under way to an upstream; a bounded number waits, the rest is refused at once."""

    max: Annotated[int, Field(ge=1)] | Literal["adaptive"]
    """Most calls at a time, on the machine; adaptive: as many as the upstream takes without becoming slower."""
    queue: Annotated[int, Field(ge=0)] = 0
    """Most calls that wait for a place; none when left out."""
    queue_timeout: Duration = 0.0
    """Longest wait in the queue; 0s: only the call's deadline ends it."""

    @model_validator(mode="after")
    def _queue(self) -> BulkheadConfig:
        if self.queue_timeout and not self.queue:
            raise ValueError("queue_timeout without queue says nothing; add queue")
        return self
