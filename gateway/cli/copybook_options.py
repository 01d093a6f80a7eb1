"""The options of `copybook decode` and `encode`, made from the codec's own so that names and choices are written once."""

from __future__ import annotations

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

_SHAPES: dict[str, tuple[Any, Any]] = {
    "codepage": (str | None, None),
    "record_format": (str | None, None),
    "select": (list[str], []),
    "odo_slide": (bool | None, None),
}

_SELECT = "FIELD=VALUE:GROUP: which alternative a value means; may be repeated; VALUE * is every other"

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
    found = []
    for name, field in Options.model_fields.items():
        kind, default = _SHAPES.get(name, (field.annotation, field.default))
        flag = f"--{name.replace('_', '-')}"
        if name == "odo_slide":
            flag += f"/--no-{name.replace('_', '-')}"
        text = _SELECT if name == "select" else field.description
        option = typer.Option(flag, help=text, show_default=name not in _SHAPES)
        found.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
        )
    return found


def load_codec(file: Path, source: str, copy_path: list[Path], given: dict[str, Any]) -> RecordCodec:
    """The codec for a layout and the options as they were typed. Leaves with status 1 where they make no sense."""
    try:
        shaped = {name: value for name, value in given.items() if value is not None}
        shaped["select"] = tuple(map(parse_select, given["select"]))
        if "record_format" in shaped:
            shaped["record_format"] = parse_record_format(shaped["record_format"])
        options = Options(**shaped)
        layout = read_layout(file, dialect=options.dialect, form=source, folders=tuple(copy_path))
        return RecordCodec(layout, with_layout(options, layout))
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
