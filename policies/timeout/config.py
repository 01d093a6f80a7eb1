"""The YAML block of timeout."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.api.config import Duration, PolicyBlock

Positive = Annotated[Duration, Field(gt=0)]


class TimeoutConfig(PolicyBlock):
    """How long a call may take; always in force, with these figures unless others are written."""

    total: Positive = 30.0
    """From the route's start to the answer's head (its last byte where a policy or adapter buffers), all tries and waits in it."""
    attempt: Positive = 10.0
    """One try, to the answer's head; the upstream's `first_byte` bounds it too, the smaller wins."""
