"""Tells when files of the configuration change. Reads none of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

from watchfiles import Change, awatch

DEBOUNCE_MS = 200  # editors and git write several files, several times
FIRST_LOOK_MS = 1000
_LEAVINGS = ("~", ".swp", ".swx", ".tmp")  # of editors


async def changes(files: Callable[[], Collection[Path]], folders: Collection[Path]) -> AsyncIterator[None]:
    """Yields after every burst of changes in the folders that hold one of `files()`, asked anew each time, or in `folders`.

    Folders and not files, since editors and Kubernetes replace files instead of writing them, and new routes are new
    files. Nothing is missed: it also yields once when it has begun to watch, for what changed just before.
    """
    while True:
        watched = _folders(files(), folders)
        looked = False
        async for burst in awatch(
            *watched,
            recursive=False,
            debounce=DEBOUNCE_MS,
            rust_timeout=FIRST_LOOK_MS,
            yield_on_timeout=True,
            watch_filter=_counts,
        ):
            if burst or not looked:
                looked = True
                yield None
                if _folders(files(), folders) != watched:
                    break


def _folders(files: Collection[Path], folders: Collection[Path]) -> set[Path]:
    wanted = {folder.absolute() for folder in folders} | {file.absolute().parent for file in files}
    return {folder for folder in wanted if folder.is_dir()}


def _counts(change: Change, path: str) -> bool:
    return not path.endswith(_LEAVINGS) and not Path(path).name.startswith(".#")
