"""The adapter `fixed_width`: a JSON API in front of fixed-width and COBOL records, from the copybook alone.

The compiler is imported by the first route that has it: every process looks at this folder, few need it.
"""

from __future__ import annotations

from collections.abc import Iterable

from adapters.fixed_width.config import FixedWidthConfig
from gateway.api.adapter import AdapterScope, AdapterSpec, BuiltAdapter
from gateway.api.policy import Complaint


def _build(config: FixedWidthConfig, scope: AdapterScope) -> BuiltAdapter:
    from adapters.fixed_width.adapter import build  # noqa: PLC0415

    return build(config, scope)


def _check(config: FixedWidthConfig, scope: AdapterScope) -> Iterable[Complaint]:
    from adapters.fixed_width.adapter import check  # noqa: PLC0415

    return check(config, scope)


def _files(config: FixedWidthConfig) -> Iterable[str]:
    from adapters.fixed_width.adapter import files  # noqa: PLC0415

    return files(config)


ADAPTER = AdapterSpec(
    name="fixed_width",
    config=FixedWidthConfig,
    build=_build,
    check=_check,
    files=_files,
    messages=True,
    streams=lambda config: config.bulk,
    correlates=lambda config: config.correlation is not None,
)

__all__ = ["ADAPTER"]
