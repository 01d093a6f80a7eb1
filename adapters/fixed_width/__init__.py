"""The adapter `fixed_width`: a JSON API in front of fixed-width and COBOL records, from the copybook alone."""

from __future__ import annotations

from adapters.fixed_width.adapter import build, check, files
from adapters.fixed_width.config import FixedWidthConfig
from gateway.api.adapter import AdapterSpec

ADAPTER = AdapterSpec(
    name="fixed_width",
    config=FixedWidthConfig,
    build=build,
    check=check,
    files=files,
    messages=True,
    streams=lambda config: config.bulk,
    correlates=lambda config: config.correlation is not None,
)

__all__ = ["ADAPTER"]
