"""What the workers of `serve` run: the data plane with every policy and adapter that is installed."""

from __future__ import annotations

from gateway.compile.registry import installed
from gateway.runtime.data_plane import WorkerPlane
from gateway.runtime.plane import DataPlane


def make_plane(workers: int) -> DataPlane:
    """A gateway.runtime.worker.PlaneFactory. Raises RegistryError."""
    return WorkerPlane(installed(), workers=workers)
