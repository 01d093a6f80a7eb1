"""The copybook compiler: COBOL source in, layout out. Reads files, knows no record and no JSON."""

from __future__ import annotations

from pathlib import Path

from ..model import Layout
from .copying import Library, read_source
from .entries import parse_entries
from .tree import build

__all__ = ["parse_copybook", "read_copybook"]


def parse_copybook(
    source: str, *, file: str = "", dialect: str = "ibm", form: str = "auto", folders: tuple[Path, ...] = ()
) -> Layout:
    """The layout that `source` describes.

    `form` is fixed, free or auto; `folders` are searched for COPY after the folder of `file`.
    Raises CopybookError with line and column.
    """
    files = [file] if file else []
    library = Library(folders, form, files)
    words = library.words(source, file, (str(Path(file).resolve()),) if file else ())
    records, renames = build(parse_entries(words), dialect=dialect, file=file)
    return Layout(records, renames, tuple(files))


def read_copybook(path: Path, *, dialect: str = "ibm", form: str = "auto", folders: tuple[Path, ...] = ()) -> Layout:
    """The layout of the copybook at `path`. Raises CopybookError, also when the file cannot be read."""
    return parse_copybook(read_source(path), file=str(path), dialect=dialect, form=form, folders=folders)
