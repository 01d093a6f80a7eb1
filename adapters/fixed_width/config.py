"""The YAML block of the adapter `fixed_width`. Its options are the codec's, by the same names and with the same defaults."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from adapters.fixed_width.options import Names, Numbers, Options, RecordFormat, parse_record_format
from gateway.api.config import Block, file_path


def _text_keys(value: object) -> object:
    """YAML reads `0` and `12` as numbers; here they are values of a field."""
    return {str(key): inner for key, inner in value.items()} if isinstance(value, Mapping) else value


def _absolute(path: str, info: ValidationInfo) -> str:
    """The configuration's folder may be relative itself; members that a copybook copies are found beside it."""
    return path if info.context is None else os.path.abspath(path)


LayoutPath = Annotated[str, file_path(), AfterValidator(_absolute)]
Select = Mapping[str, Annotated[Mapping[str, str], BeforeValidator(_text_keys)]]
Statuses = Annotated[Mapping[str, Annotated[int, Field(ge=400, le=599)]], BeforeValidator(_text_keys)]


class RecordBlock(Block):
    """One kind of record: where its layout is, and how it is read and written."""

    copybook: LayoutPath | None = None
    """A COBOL copybook, relative to this file; members that it copies lie beside it."""
    layout: LayoutPath | None = None
    """A plain layout in YAML, instead of a copybook."""
    source: Literal["auto", "fixed", "free"] = "auto"
    """Reference format of the copybook."""
    record: str = ""
    """The level-01 record to use; the first one when left out."""
    codepage: str | None = None
    """Code page of text and digits, as cp037, cp1047, cp939, ascii. cp037, unless a plain layout names one."""
    record_format: str | None = None
    """fixed, rdw[:big|:little][:inclusive|:exclusive], bdw, length:FIELD, delimiter:TEXT or odo. fixed, unless a plain layout says otherwise."""
    select: Select = Field(default_factory=dict)
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

    @model_validator(mode="after")
    def _one_layout(self) -> RecordBlock:
        if (self.copybook is None) == (self.layout is None):
            raise ValueError("name either a copybook or a layout")
        return self

    @property
    def file(self) -> str:
        return self.copybook or self.layout or ""

    @property
    def written(self) -> frozenset[str]:
        """Options that a plain layout does not decide, because they stand here."""
        return frozenset(name for name in ("codepage", "record_format") if getattr(self, name) is not None)

    def options(
        self, *, unknown: Literal["reject", "drop"] = "reject", missing: Literal["error", "initial"] = "error"
    ) -> Options:
        """For the codec. Raises ValueError for a record format that is none."""
        return Options(
            codepage=self.codepage or Options().codepage,
            record_format=parse_record_format(self.record_format) if self.record_format else RecordFormat(),
            record=self.record,
            select=tuple(
                (field, value, group) for field, choices in self.select.items() for value, group in choices.items()
            ),
            redefines=self.redefines,
            float=self.float,
            edited=self.edited,
            names=self.names,
            numbers=self.numbers,
            dialect=self.dialect,
            trunc=self.trunc,
            lenient=self.lenient,
            trim=self.trim,
            pad=self.pad,
            blanks=self.blanks,
            low_values=self.low_values,
            conditions=self.conditions,
            odo_slide=self.odo_slide,
            unknown=unknown,
            missing=missing,
        )


class RequestBlock(RecordBlock):
    """The record that goes to the upstream."""

    values: Mapping[str, Any] | None = None
    """FIELD: a placeholder or a literal. Replaces mapping by name; fields that are not named take their VALUE, blanks or zero."""
    missing: Literal["error", "initial"] = "error"
    """initial: members that the caller leaves out take their VALUE, blanks or zero. Always so with `values`."""


class ResponseBlock(RecordBlock):
    """The record that comes back."""

    errors: Mapping[str, Statuses] = Field(default_factory=dict)
    """FIELD: {VALUE: STATUS}: a return code that is a failure, and the HTTP status that it means. The caller gets a problem."""


class Correlation(Block):
    """Fields by which answers are matched to calls on a shared connection. Both have the same picture and usage."""

    request: str
    """The field of the request. It is filled in, with a value that no call under way has, where neither `values` nor the caller gives one."""
    response: str
    """The field of the answer, in which the upstream repeats it."""


class FixedWidthConfig(Block):
    """A JSON route in front of a system that speaks fixed-width records."""

    request: RequestBlock
    """The request's record."""
    response: ResponseBlock
    """The answer's record."""
    bulk: bool = False
    """true: JSON lines (application/x-ndjson) in both directions, one a record."""
    safe: bool = False
    """true: the call changes nothing, so it may be retried, collapsed and cached."""
    unknown: Literal["reject", "drop"] = "reject"
    """Members that the layout does not have: 422, or left out."""
    correlation: Correlation | None = None
    """For tcp:// and tls:// targets: calls share connections, and answers may come in any order. One call a connection when left out."""
