"""The copybook compiler: COBOL source in, layout out. Knows no record and no JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adapters.fixed_width.copybook.copying import Library, from_disk
from adapters.fixed_width.copybook.entries import parse_entries
from adapters.fixed_width.copybook.tree import build
from adapters.fixed_width.model import Layout

__all__ = ["parse_copybook"]


def parse_copybook(
    source: str,
    *,
    file: str = "",
    dialect: str = "ibm",
    form: str = "auto",
    folders: tuple[Path, ...] = (),
    read: Callable[[str], bytes] = from_disk,
) -> Layout:
    """The layout that `source` describes.

    `form` is fixed, free or auto; `folders` are searched for COPY after the folder of `file`, and `read` gives the
    contents of a path or raises OSError. Raises CopybookError with line and column.
    """
    library = Library(read, folders, form, [file] if file else [])
    words = library.words(source, file, (file,) if file else ())
    records, renames = build(parse_entries(words), dialect=dialect, file=file)
    return Layout(records, renames, tuple(library.files))
