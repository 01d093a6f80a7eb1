"""The YAML block of the adapter `fixed_width`. Its options are the codec's, by the same names and with the same defaults."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from adapters.fixed_width.options import Options, RecordOptions
from gateway.api.config import Block, file_path


def _text_keys(value: object) -> object:
    """YAML reads `0` and `12` as numbers; here they are values of a field."""
    return {str(key): inner for key, inner in value.items()} if isinstance(value, Mapping) else value


def _absolute(path: str, info: ValidationInfo) -> str:
    """The configuration's folder may be relative itself; members that a copybook copies are found beside it."""
    return path if info.context is None else os.path.abspath(path)


LayoutPath = Annotated[str, file_path(), AfterValidator(_absolute)]
Statuses = Annotated[Mapping[str, Annotated[int, Field(ge=400, le=599)]], BeforeValidator(_text_keys)]


class RecordBlock(RecordOptions):
    """One kind of record: where its layout is, and how it is read and written."""

    copybook: LayoutPath | None = None
    """A COBOL copybook, relative to this file; members that it copies lie beside it."""
    layout: LayoutPath | None = None
    """A plain layout in YAML, instead of a copybook."""
    source: Literal["auto", "fixed", "free"] = "auto"
    """Reference format of the copybook."""

    @model_validator(mode="after")
    def _one_layout(self) -> RecordBlock:
        if (self.copybook is None) == (self.layout is None):
            raise ValueError("name either a copybook or a layout")
        return self

    @property
    def file(self) -> str:
        return self.copybook or self.layout or ""

    def options(
        self, *, unknown: Literal["reject", "drop"] = "reject", missing: Literal["error", "initial"] = "error"
    ) -> Options:
        """For the codec; what is not written here a plain layout may still decide."""
        written = {name: getattr(self, name) for name in self.model_fields_set & RecordOptions.model_fields.keys()}
        return Options(**written, unknown=unknown, missing=missing)


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
