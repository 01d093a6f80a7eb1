"""Tells when files of the configuration change. Reads none of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

from watchfiles import Change, awatch

DEBOUNCE_MS = 200  # editors and git write several files, several times
_LEAVINGS = ("~", ".swp", ".swx", ".tmp")  # of editors


async def changes(files: Callable[[], Collection[str]], folders: Collection[Path]) -> AsyncIterator[None]:
    """Yields after every burst of changes in the folders that hold one of `files()`, asked anew each time, or in `folders`.

    Folders and not files, since editors and Kubernetes replace files instead of writing them, and new routes are new
    files. Nothing is missed while the reader is busy with a burst.
    """
    while True:
        watched = _folders(files(), folders)
        async for _ in awatch(*watched, recursive=False, debounce=DEBOUNCE_MS, watch_filter=_counts):
            yield None
            if _folders(files(), folders) != watched:
                break


def _folders(files: Collection[str], folders: Collection[Path]) -> set[Path]:
    wanted = {folder.absolute() for folder in folders} | {Path(file).absolute().parent for file in files}
    return {folder for folder in wanted if folder.is_dir()}


def _counts(change: Change, path: str) -> bool:
    return not path.endswith(_LEAVINGS) and not Path(path).name.startswith(".#")
