"""How records are to be read and written: the options of `copybook` and of `fixed_width`, by the same names.

Knows what each option may be; what it does is the codec's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from gateway.api.config import Block

Names = Literal["snake", "kebab", "camel", "cobol"]
Numbers = Literal["auto", "string", "number"]


@dataclass(frozen=True, slots=True)
class RecordFormat:
    """How one record is told from the next. `kind`: fixed, rdw, bdw, length, delimiter, odo."""

    kind: str = "fixed"
    little: bool = False
    inclusive: bool = True
    field: str = ""
    delimiter: str = ""

    @property
    def varies(self) -> bool:
        return self.kind != "fixed"

    def __str__(self) -> str:
        """As it is written."""
        if self.kind == "rdw":
            return f"rdw:{'little' if self.little else 'big'}:{'inclusive' if self.inclusive else 'exclusive'}"
        rest = self.field or self.delimiter
        return f"{self.kind}:{rest}" if rest else self.kind


def parse_record_format(text: str) -> RecordFormat:
    """Read `fixed`, `rdw[:big|:little][:inclusive|:exclusive]`, `bdw`, `length:FIELD`, `delimiter:TEXT` or `odo`.

    rdw alone is z/OS: big-endian, counting itself. Raises ValueError saying what is wrong.
    """
    kind, _, rest = text.partition(":")
    if kind in ("fixed", "bdw", "odo") and not rest:
        return RecordFormat(kind)
    if kind == "rdw":
        parts = rest.split(":") if rest else []
        order = [part for part in parts if part in ("big", "little")]
        counts = [part for part in parts if part in ("inclusive", "exclusive")]
        if len(order) > 1 or len(counts) > 1 or len(order) + len(counts) != len(parts):
            raise ValueError(f"record format '{text}': rdw takes big or little, then inclusive or exclusive")
        return RecordFormat("rdw", little=order == ["little"], inclusive=counts != ["exclusive"])
    if kind == "length" and rest:
        return RecordFormat("length", field=rest)
    if kind == "delimiter" and rest:
        return RecordFormat("delimiter", delimiter=rest)
    raise ValueError(
        f"record format '{text}': one of fixed, rdw[:big|:little][:inclusive|:exclusive], bdw, length:FIELD, delimiter:TEXT, odo"
    )


def _record_format(value: object) -> RecordFormat:
    if isinstance(value, RecordFormat):
        return value
    if not isinstance(value, str):
        raise ValueError("a record format is text, as fixed or rdw")
    return parse_record_format(value)


Selection = tuple[str, str, str]
"""FIELD, VALUE, GROUP; VALUE * is every other."""


def _selections(value: object) -> tuple[Selection, ...]:
    """`FIELD: {VALUE: GROUP}` of YAML, or selections as they are."""
    if isinstance(value, tuple):
        return value
    found: list[Selection] = []
    for field, choices in value.items() if isinstance(value, Mapping) else [("", value)]:
        if not isinstance(choices, Mapping) or not all(isinstance(group, str) for group in choices.values()):
            raise ValueError("written as FIELD: {VALUE: GROUP, VALUE: GROUP}")
        # YAML reads `0` and `12` as numbers; here they are values of a field
        found += [(str(field), str(choice), group) for choice, group in choices.items()]
    return tuple(found)


class RecordOptions(Block):
    """What decides how one layout becomes a plan; the same on the command line and in YAML."""

    record: str = ""
    """The level-01 record to use; the first one when left out."""
    codepage: str = "cp037"
    """Code page of text and digits, as cp037, cp1047, cp939, ascii. cp037, unless a plain layout names one."""
    record_format: Annotated[
        RecordFormat,
        BeforeValidator(_record_format),
        PlainSerializer(str, return_type=str),
        WithJsonSchema({"type": "string"}),
    ] = RecordFormat()
    """fixed, rdw[:big|:little][:inclusive|:exclusive], bdw, length:FIELD, delimiter:TEXT or odo. fixed, unless a plain layout says otherwise."""
    select: Annotated[
        tuple[Selection, ...],
        BeforeValidator(_selections),
        PlainSerializer(lambda value: {}, return_type=dict),
        WithJsonSchema(
            {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": {"type": "string"}}}
        ),
    ] = ()
    """FIELD: {VALUE: GROUP}: which alternative (of REDEFINES, or of several records) a value means. VALUE may be a level-88 name, or "*" for every other."""
    redefines: Literal["first", "all"] = "first"
    """Where nothing is selected: the first alternative, or all that can be read."""
    float: Literal["ibm", "ieee"] = "ibm"
    """Form of COMP-1 and COMP-2."""
    edited: Literal["number", "text"] = "number"
    """Edited pictures as numbers, or as their text."""
    names: Names = "snake"
    """Style of the names in JSON."""
    numbers: Numbers = "auto"
    """auto: a JSON number where the picture has at most 15 digits, else a string."""
    dialect: Literal["ibm", "gnucobol", "microfocus"] = "ibm"
    """Whose COBOL: sizes, byte order and signs follow it."""
    trunc: Literal["std", "bin"] = "std"
    """std: binary items hold what their picture says; bin: what their bytes can."""
    lenient: bool = False
    """true: what is unreadable becomes null, what is too long is cut off."""
    trim: Literal["pad", "both", "none"] = "pad"
    """Text is trimmed on the padded side, on both, or not at all."""
    pad: Literal["blank", "low-values"] = "blank"
    """What text is padded with."""
    blanks: Literal["error", "null", "zero"] = "error"
    """Numbers that are all blank are an error, null, or zero."""
    low_values: Literal["keep", "blank", "null"] = "keep"
    """Low-values stay (in numbers: an error), count as blanks, or are null."""
    conditions: Literal["value", "name"] = "value"
    """name: level-88 names in place of the values they stand for."""
    odo_slide: bool | None = None
    """Whether fields after a table move with its length; as the dialect has it when left out."""

    @property
    def slides(self) -> bool:
        """Whether what follows a table moves with its length. IBM does; GnuCOBOL and Micro Focus need a directive."""
        return self.dialect == "ibm" if self.odo_slide is None else self.odo_slide


class Options(RecordOptions):
    """What the codec takes: the same, and what the adapter decides for both directions."""

    missing: Literal["error", "initial"] = "error"
    """initial: members that the caller leaves out take their VALUE, blanks or zero."""
    unknown: Literal["reject", "drop"] = "reject"
    """Members that the layout does not have are an error, or left out."""


def parse_select(text: str) -> tuple[str, str, str]:
    """Read `FIELD=VALUE:GROUP`. Raises ValueError."""
    name, equals, rest = text.partition("=")
    value, colon, group = rest.rpartition(":")
    if not (name and equals and colon and group):
        raise ValueError(f"select '{text}': written as FIELD=VALUE:GROUP")
    return name.strip(), value, group.strip()
