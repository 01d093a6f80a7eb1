"""A layout from a file, copybook or YAML, and the options that the layout itself decides. Knows no record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .copybook import read_copybook
from .model import Layout
from .options import Options, parse_record_format
from .plain import read_layout


def read_any(path: Path, *, dialect: str = "ibm", form: str = "auto", folders: tuple[Path, ...] = ()) -> Layout:
    """The layout at `path`: YAML by its suffix, a copybook otherwise. Raises CopybookError."""
    if path.suffix.lower() in (".yaml", ".yml"):
        return read_layout(path)
    return read_copybook(path, dialect=dialect, form=form, folders=folders)


def with_layout(options: Options, layout: Layout, written: frozenset[str]) -> Options:
    """The options with what the layout says of itself, where it is not `written` otherwise."""
    if layout.codepage and "codepage" not in written:
        options = replace(options, codepage=layout.codepage)
    if layout.record_format and "record_format" not in written:
        options = replace(options, record_format=parse_record_format(layout.record_format))
    return options
