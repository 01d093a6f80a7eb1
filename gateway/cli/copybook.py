"""`sluicegate copybook`: describe a layout, records to JSON lines, JSON lines to records. Knows files and the terminal.

Exit status 1 with the place: line and column of the copybook, or record, field and offset of the data.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, NoReturn

import orjson
import typer
from rich.console import Console
from rich.progress import Progress

from adapters.fixed_width.codec.jsontext import dumps, loads_raw
from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.describe import rows
from adapters.fixed_width.errors import CopybookError, RecordError
from adapters.fixed_width.reading import read_layout
from gateway.cli.copybook_options import CopyPathOption, FileArgument, SourceOption, codec_command, fail

app = typer.Typer(
    name="copybook",
    no_args_is_help=True,
    help="Fixed-width records and JSON, by COBOL copybook or YAML layout.",
    epilog="Example: sluicegate copybook decode customer.cpy customers.bin --codepage cp1047 > customers.jsonl",
)

OutOption = Annotated[
    Path | None, typer.Option("--out", help="Write to this file, which appears only when all went well")
]
_BATCH = 256  # records a write; larger ones are not faster
_LINES = 1 << 16  # octets of lines a batch


@app.command(epilog="Example: sluicegate copybook describe customer.cpy")
def describe(
    file: FileArgument,
    dialect: Annotated[
        Literal["ibm", "gnucobol", "microfocus"],
        typer.Option("--dialect", help="Whose COBOL: sizes and byte order follow it"),
    ] = "ibm",
    source: SourceOption = "auto",
    copy_path: CopyPathOption = [],  # noqa: B006  # typer copies it
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="A table, or JSON lines")] = "text",
) -> None:
    """Show the layout: level, name, offset and length of every item. Offsets count from 0, tables at their longest."""
    try:
        layout = read_layout(file, dialect=dialect, form=source, folders=tuple(copy_path))
    except CopybookError as exc:
        fail(exc)
    found = list(rows(layout))
    if form == "json":
        for row in found:
            typer.echo(orjson.dumps(asdict(row)).decode())
        return
    width = max(len("  " * row.depth + row.name) for row in found)
    typer.echo(f"{'level':>5}  {'name':<{width}}  {'offset':>7}  {'length':>7}  form")
    for row in found:
        notes = f"  ({row.notes})" if row.notes else ""
        typer.echo(
            f"{row.level:>5}  {'  ' * row.depth + row.name:<{width}}  {row.offset:>7}  {row.length:>7}  {row.form}{notes}"
        )
    for record in layout.records:
        typer.echo(f"{record.name or 'FILLER'}: {record.total} bytes" + (" at most" if record.varies else ""))


@app.command(
    epilog="Example: sluicegate copybook decode customer.cpy customers.bin --record-format rdw > customers.jsonl"
)
@codec_command
def decode(
    codec: RecordCodec,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The records; - is stdin")],
    out: OutOption = None,
) -> None:
    """Records to JSON lines, one a record, on stdout. Memory does not grow with the number of records."""
    try:
        with _opened(data) as source, _output(out) as write, _progress(source, data) as advance:
            values = codec.read(source)
            more = True
            while more:
                batch: list[Any] = []
                try:
                    batch.extend(islice(values, _BATCH))
                finally:
                    write(b"".join([dumps(value) + b"\n" for value in batch]))
                advance()
                more = bool(batch)
    except RecordError as exc:
        fail(_with_bytes(exc))
    except BrokenPipeError:
        _nobody_reads()
    except OSError as exc:
        fail(f"{exc.filename or data}: {exc.strerror}")


@app.command(
    epilog="Example: sluicegate copybook encode customer.cpy --codepage cp1047 < customers.jsonl > customers.bin"
)
@codec_command
def encode(codec: RecordCodec, out: OutOption = None) -> None:
    """JSON lines on stdin to records on stdout; a record is written whole or not at all."""
    try:
        with _output(out) as write:
            for piece in _written(codec, sys.stdin.buffer):
                write(piece)
    except RecordError as exc:
        fail(exc)
    except BrokenPipeError:
        _nobody_reads()
    except OSError as exc:
        fail(f"{exc.filename or 'stdout'}: {exc.strerror}")


def _nobody_reads() -> NoReturn:
    """Whoever read stdout has gone (`head`): leave quietly, as other filters do."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it flushes at exit
    raise typer.Exit(1)


def _with_bytes(exc: RecordError) -> str:
    """The data belongs to whoever runs the command, so the bytes at fault are shown."""
    shown = exc.raw[:32].hex(" ") if exc.raw else ""
    return f"{exc}" + (f" (found X'{shown}'{' …' if len(exc.raw or b'') > 32 else ''})" if shown else "")


def _written(codec: RecordCodec, source: BinaryIO) -> Iterator[bytes]:
    """The records of all lines that are not blank, up to the first that is no JSON or does not fit.

    A batch is read, then written: a fifth faster than record by record.
    """
    blocked = codec.options.record_format.kind == "bdw"
    if blocked:  # as full as they get, whatever a batch holds
        yield from codec.write(value for batch in _values(source) for value in batch)
        return
    number = 1
    for values in _values(source):
        records: list[bytes] = []
        try:
            records.extend(codec.write(values, number))
        finally:
            yield b"".join(records)
        number += len(values)


def _values(source: BinaryIO) -> Iterator[list[Any]]:
    """Batches of values; a line that is no JSON is a fault of that record, told after those before it."""
    number = 0
    while lines := source.readlines(_LINES):
        values: list[Any] = []
        try:
            for line in lines:
                if line.strip():
                    values.append(loads_raw(line))
        except ValueError as exc:
            yield values
            raise RecordError(str(exc), record=number + len(values) + 1) from exc
        yield values
        number += len(values)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    with path.open("rb") as source:
        yield source


@contextmanager
def _output(out: Path | None) -> Iterator[Any]:
    """A function that writes: stdout, or a file that takes its name only at the end."""
    if out is None:
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    try:
        with os.fdopen(handle, "wb") as target:
            yield target.write
            target.flush()
            os.fsync(target.fileno())
        Path(name).replace(out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def _progress(source: BinaryIO, data: Path) -> Iterator[Any]:
    """Shows how far a file has been read, when stderr is a terminal; a function to call now and then."""
    if not sys.stderr.isatty() or str(data) == "-":
        yield lambda: None
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(data.name, total=data.stat().st_size)
        yield lambda: progress.update(task, completed=source.tell())
