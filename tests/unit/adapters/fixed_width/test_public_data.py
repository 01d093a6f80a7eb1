"""Public copybooks and records of other projects, where SLUICEGATE_TEST_DATA has them: an additional, independent judge."""

import io
import json
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.copybook import parse_copybook
from adapters.fixed_width.errors import RecordError
from adapters.fixed_width.options import Options, parse_record_format, parse_select
from adapters.fixed_width.reading import read_layout

FOLDER = os.environ.get("SLUICEGATE_TEST_DATA")
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not FOLDER, reason="SLUICEGATE_TEST_DATA is not set: public copybooks are not tried"),
]
COPYBOOKS = Path(FOLDER or ".") / "copybook"
SEGMENTS = tuple(map(parse_select, ("SEGMENT-ID=C:STATIC-DETAILS", "SEGMENT-ID=P:CONTACTS")))
CASES = {
    "fixed_odo_redefines": Options(names="cobol", redefines="all", low_values="blank", lenient=True),
    "vrl_rdw_big_endian": Options(
        names="cobol",
        low_values="blank",
        pad="low-values",
        select=SEGMENTS,
        record_format=parse_record_format("rdw:big:exclusive"),
    ),
    "nested_odo": Options(names="cobol", codepage="ascii", record_format=parse_record_format("odo")),
    "vb_ibm_standard": Options(names="cobol", record_format=parse_record_format("bdw")),
}


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every plain value with its path, as text without what the common page lacks."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key.replace("-", "_")))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, str(index)))
    elif value is not None:
        yield path, "".join(one if " " < one < "\x7f" else " " for one in str(value)).strip()


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_other_readers(name: str) -> None:
    codec = RecordCodec(read_layout(COPYBOOKS / name / "copybook.cob"), CASES[name])
    with (COPYBOOKS / name / "data.bin").open("rb") as data:
        found = list(codec.read(data))
    expected = [
        json.loads(line, parse_float=Decimal) for line in (COPYBOOKS / name / "expected.jsonl").read_text().splitlines()
    ]
    assert len(found) >= len(expected) > 4
    compared = 0
    for ours, theirs in zip(found, expected, strict=False):
        wanted = dict(leaves(theirs.get("RECORD", theirs)))
        for path, text in leaves(ours):
            if path in wanted:
                assert text == wanted[path], path
                compared += 1
    assert compared >= 2 * len(expected) or name == "vb_ibm_standard"


@pytest.mark.parametrize(
    ("name", "options"), [("vrl_rdw_big_endian", {"low_values": "keep"}), ("nested_odo", {}), ("vb_ibm_standard", {})]
)
def test_records_are_written_as_they_were(name: str, options: dict[str, Any]) -> None:
    codec = RecordCodec(read_layout(COPYBOOKS / name / "copybook.cob"), CASES[name].model_copy(update=options))
    raw = (COPYBOOKS / name / "data.bin").read_bytes()
    written = b"".join(codec.write(codec.read(io.BytesIO(raw))))
    blocks = 4 if name == "vb_ibm_standard" else 0  # two half-empty blocks become one
    assert written == raw if not blocks else len(written) == len(raw) - blocks


def vectors() -> list[dict[str, Any]]:
    path = COPYBOOKS / "scalar_vectors.json"
    return json.loads(path.read_text()) if FOLDER and path.exists() else []


def field_of(vector: dict[str, Any]) -> tuple[str, bytes, Options] | None:
    """Clauses, bytes and options for a vector; None for what no COBOL item is (integers of 3 or 17 bytes)."""
    kind, scale = vector["kind"], vector.get("scale", 0)
    if kind == "zoned-ascii":
        raw = vector["text"].encode("ascii")
        return f"PIC {'' if vector['unsigned'] else 'S'}9({len(raw)})", raw, Options(codepage="ascii", numbers="string")
    raw = bytes.fromhex(vector["hex"])
    if kind == "COMP":
        digits = {1: 2, 2: 4, 4: 9, 8: 18}.get(len(raw))
        if digits is None:
            return None
        dialect = "gnucobol"
        usage = "COMP-5" if not vector["big_endian"] else "COMP"
        picture = (
            f"V{'P' * (scale - digits)}9({digits})"
            if scale > digits
            else f"9({digits - scale})" + (f"V9({scale})" if scale else "")
        )
        return (
            f"PIC {'S' if vector['signed'] else ''}{picture} {usage}",
            raw,
            Options(dialect=dialect, trunc="bin", numbers="string"),
        )
    digits = 2 * len(raw) - (kind == "COMP-3")
    factor = vector["scale_factor"]
    if factor:  # P to the left: all digits are behind the point
        return f"PIC SV{'P' * -factor}9({digits}) COMP-3", raw, Options(numbers="string")
    picture = f"9({digits - scale})" + (f"V9({scale})" if scale else "")
    return (
        f"PIC {'S' if kind == 'COMP-3' else ''}{picture} {'COMP-3' if kind == 'COMP-3' else 'COMP-6'}",
        raw,
        Options(dialect="gnucobol", numbers="string"),
    )


@pytest.mark.parametrize(
    "vector", vectors(), ids=lambda vector: f"{vector['kind']}-{vector.get('hex') or vector.get('text')}"
)
def test_scalar_vectors(vector: dict[str, Any]) -> None:
    made = field_of(vector)
    if made is None:
        pytest.skip("no COBOL item has this size")
    clauses, raw, options = made
    codec = RecordCodec(parse_copybook(f"01 R. 05 A {clauses}.", dialect=options.dialect, form="free"), options)
    if vector["expect"] is None:
        with pytest.raises(RecordError):
            codec.decode(raw)
        return
    assert Decimal(codec.decode(raw)["a"]) == Decimal(vector["expect"])
