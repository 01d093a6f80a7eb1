"""The options of `copybook decode` and `encode`, made from the codec's own so that names and choices are written once."""

from __future__ import annotations

import dataclasses
import gc
import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.errors import CopybookError
from adapters.fixed_width.options import Options, parse_record_format, parse_select
from adapters.fixed_width.reading import read_layout, with_layout

_HELP = {
    "codepage": "Code page of text and digits: cp037, cp1047, cp939, ascii, utf-8 …  [default: cp037]",
    "record_format": "fixed, rdw[:big|:little][:inclusive|:exclusive], bdw, length:FIELD, delimiter:TEXT, odo  [default: fixed]",
    "record": "The level-01 record to use; the first one otherwise",
    "select": "FIELD=VALUE:GROUP: which alternative a value means; may be repeated; VALUE * is every other",
    "redefines": "Without a selection: the first alternative, or all that can be read",
    "float": "Form of COMP-1 and COMP-2",
    "edited": "Edited pictures as numbers, or as their text",
    "names": "Style of the names in JSON",
    "numbers": "auto: a JSON number where the picture has at most 15 digits, else a string",
    "dialect": "Whose COBOL: sizes, byte order and signs follow it",
    "trunc": "std: binary items hold what their picture says; bin: what their bytes can",
    "lenient": "Read what is unreadable as null, cut off what is too long",
    "trim": "Trim text on the padded side, on both, or not at all",
    "pad": "What text is padded with",
    "blanks": "Numbers that are all blank are an error, null, or zero",
    "low_values": "Low-values stay (numbers: an error), count as blanks, or are null",
    "conditions": "Level-88 names in place of the values they stand for",
    "missing": "Members that are not there are an error, or take VALUE, blanks or zero",
    "unknown": "Members that the layout does not have are an error, or dropped",
    "odo_slide": "Whether fields after a table move with its length  [default: as the dialect has it]",
}
_SHAPES: dict[str, tuple[Any, Any]] = {
    "codepage": (str | None, None),
    "record_format": (str | None, None),
    "select": (list[str], []),
    "odo_slide": (bool | None, None),
}

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The copybook, or a YAML layout")]
SourceOption = Annotated[
    typing.Literal["auto", "fixed", "free"], typer.Option("--source", help="Reference format of the copybook")
]
CopyPathOption = Annotated[
    list[Path], typer.Option("--copy-path", help="Folder with members for COPY; may be repeated")
]


def fail(problem: object) -> typing.NoReturn:
    """One line on stderr and status 1."""
    typer.echo(f"error: {problem}", err=True)
    raise typer.Exit(1)


def _parameters() -> list[inspect.Parameter]:
    hints = typing.get_type_hints(Options)
    found = []
    for field in dataclasses.fields(Options):
        kind, default = _SHAPES.get(field.name, (hints[field.name], field.default))
        flag = f"--{field.name.replace('_', '-')}"
        if kind in (bool, bool | None):
            flag += f"/--no-{field.name.replace('_', '-')}" if field.name == "odo_slide" else ""
        option = typer.Option(flag, help=_HELP[field.name], show_default=field.name not in _SHAPES)
        found.append(
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
            )
        )
    return found


def load_codec(file: Path, source: str, copy_path: list[Path], given: dict[str, Any]) -> RecordCodec:
    """The codec for a layout and the options as they were typed. Leaves with status 1 where they make no sense."""
    written = frozenset(name for name in ("codepage", "record_format") if given[name] is not None)
    try:
        shaped = given | {
            "codepage": given["codepage"] or Options().codepage,
            "record_format": parse_record_format(given["record_format"] or "fixed"),
            "select": tuple(map(parse_select, given["select"])),
        }
        options = Options(**shaped)
        layout = read_layout(file, dialect=options.dialect, form=source, folders=tuple(copy_path))
        return RecordCodec(layout, with_layout(options, layout, written))
    except (CopybookError, LookupError, ValueError) as exc:
        fail(exc.args[0] if isinstance(exc, LookupError) else exc)


def codec_command(command: Callable[..., None]) -> Callable[..., None]:
    """Gives `command`, whose first parameter is the codec, the layout's argument and all options in its place."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    options = _parameters()
    shared = [
        inspect.Parameter("file", inspect.Parameter.KEYWORD_ONLY, annotation=FileArgument),
        *own,
        inspect.Parameter("source", inspect.Parameter.KEYWORD_ONLY, default="auto", annotation=SourceOption),
        inspect.Parameter("copy_path", inspect.Parameter.KEYWORD_ONLY, default=[], annotation=CopyPathOption),
        *options,
    ]

    def run(**given: Any) -> None:
        rest = {parameter.name: given.pop(parameter.name) for parameter in own}
        codec = load_codec(given.pop("file"), given.pop("source"), given.pop("copy_path"), given)
        # Records make no cycles; looking for them among all that is imported took a third of the time.
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        command(codec, **rest)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(shared)  # type: ignore[attr-defined]  # what typer reads the options from
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in shared}
    return run
