"""A layout from a file, copybook or YAML, and the options that the layout itself decides. Knows no record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adapters.fixed_width.copybook import parse_copybook
from adapters.fixed_width.copybook.copying import from_disk, read_source
from adapters.fixed_width.model import Layout
from adapters.fixed_width.options import Options, parse_record_format
from adapters.fixed_width.plain import parse_layout


def read_layout(
    path: str | Path,
    *,
    dialect: str = "ibm",
    form: str = "auto",
    folders: tuple[Path, ...] = (),
    read: Callable[[str], bytes] = from_disk,
) -> Layout:
    """The layout at `path`: YAML by its suffix, a copybook otherwise. Raises CopybookError."""
    file = str(path)
    source = read_source(file, read)
    if file.lower().endswith((".yaml", ".yml")):
        return parse_layout(source, file=file)
    return parse_copybook(source, file=file, dialect=dialect, form=form, folders=folders, read=read)


def with_layout(options: Options, layout: Layout) -> Options:
    """The options with what the layout says of itself, where they were not given."""
    said: dict[str, object] = {}
    if layout.codepage and "codepage" not in options.model_fields_set:
        said["codepage"] = layout.codepage
    if layout.record_format and "record_format" not in options.model_fields_set:
        said["record_format"] = parse_record_format(layout.record_format)
    return options.model_copy(update=said)
