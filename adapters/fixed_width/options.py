"""How records are to be read and written: the options of `copybook` and of `fixed_width`, by the same names.

Knows what each option may be; what it does is the codec's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

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


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that decides how one layout becomes a plan. Defaults are those of the command line."""

    codepage: str = "cp037"
    record_format: RecordFormat = field(default_factory=RecordFormat)
    record: str = ""
    select: tuple[tuple[str, str, str], ...] = ()  # field, value, group; value * is every other
    redefines: Literal["first", "all"] = "first"
    float: Literal["ibm", "ieee"] = "ibm"
    edited: Literal["number", "text"] = "number"
    names: Names = "snake"
    numbers: Numbers = "auto"
    dialect: Literal["ibm", "gnucobol", "microfocus"] = "ibm"
    trunc: Literal["std", "bin"] = "std"
    lenient: bool = False
    trim: Literal["pad", "both", "none"] = "pad"
    pad: Literal["blank", "low-values"] = "blank"
    blanks: Literal["error", "null", "zero"] = "error"
    low_values: Literal["keep", "blank", "null"] = "keep"
    conditions: Literal["value", "name"] = "value"
    missing: Literal["error", "initial"] = "error"
    unknown: Literal["reject", "drop"] = "reject"
    odo_slide: bool | None = None  # None: as the dialect has it

    @property
    def slides(self) -> bool:
        """Whether what follows a table moves with its length. IBM does; GnuCOBOL and Micro Focus need a directive."""
        return self.dialect == "ibm" if self.odo_slide is None else self.odo_slide


def parse_select(text: str) -> tuple[str, str, str]:
    """Read `FIELD=VALUE:GROUP`. Raises ValueError."""
    name, equals, rest = text.partition("=")
    value, colon, group = rest.rpartition(":")
    if not (name and equals and colon and group):
        raise ValueError(f"select '{text}': written as FIELD=VALUE:GROUP")
    return name.strip(), value, group.strip()
