"""Types that configuration models are made of: frozen, strict about keys, and every figure with its unit.

A policy's or adapter's `config.py` derives from `Block`; a policy's from `PolicyBlock`. Fields are documented under the field;
the JSON Schema and the reference for ops are printed from there. Values arrive from YAML 1.2, already interpolated.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, Protocol

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import CoreSchema

from gateway.api.consumers import Rate

NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"  # they become metric labels and store keys

_DURATION_S = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_RATE_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "day": 86400.0, "month": 2592000.0}
_NUMBER = r"(\d+(?:\.\d+)?)"


_QUOTA_WINDOWS = ("hour", "day", "week", "month")


def _take_literally(schema: Any) -> None:
    """Make the int and bool fields of a schema strict; lists, floats and the rest stay as they are.

    pydantic's own strict mode is all or nothing, and would refuse a YAML list for a tuple.
    """
    if isinstance(schema, dict):
        if schema.get("type") in ("int", "bool"):
            schema["strict"] = True
        for key, part in schema.items():
            if key not in ("default", "metadata", "serialization", "expected", "cls"):
                _take_literally(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            _take_literally(part)


class Block(BaseModel):
    """A mapping of the configuration: frozen, unknown keys are errors.

    Numbers and truth values are taken as YAML says they are: `"8080"` is no number, `yes` and 1 are not true. (What an
    interpolated `${env:PORT}` stands for is converted by the loader, where the model asks for it.)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, arbitrary_types_allowed=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _take_literally(schema)
        return schema


class PolicyBlock(Block):
    """What every policy's block may hold beside its own fields."""

    name: Annotated[str, Field(pattern=NAME)] | None = None
    """Tells apart several of the same policy on one route; the policy's own name when left out."""
    mode: Literal["enforce", "shadow"] = "enforce"
    """shadow: decide and count, but let everything pass."""


def parse_duration(text: object) -> float:
    """Seconds of `500ms`, `2s`, `5m`, `24h`, `7d`. Raises ValueError for anything else, bare numbers included."""
    return _quantity(text, _DURATION_S, "a duration", "2s, 500ms, 5m, 24h, 7d")


def parse_size(text: object) -> int:
    """Octets of `1MiB`, `16KiB`, `500B`, `10MB`."""
    return int(_quantity(text, _SIZE_BYTES, "a size", "1MiB, 16KiB, 500B"))


def parse_rate(text: object) -> Rate:
    """`50/s`, `1000/h`, `1000000/month`; a month is 30 days here (quotas count calendar months themselves)."""
    if isinstance(text, Rate):
        return text
    match = re.fullmatch(rf"{_NUMBER}/(s|m|h|day|month)", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("not a rate; write a number and its window, as in 50/s, 100/m, 1000/h, 10000/day")
    return Rate(float(match[1]), _RATE_S[match[2]])


def parse_share(text: object) -> float:
    """0.2 of `20%`."""
    match = re.fullmatch(rf"{_NUMBER}%", text) if isinstance(text, str) else None
    if match is None or not 0 <= float(match[1]) <= 100:
        raise ValueError("not a share; write a percentage, as in 20%")
    return float(match[1]) / 100


def parse_quota(text: object) -> tuple[int, str]:
    """(10000, "day") of `10000/day`; the windows are calendar ones."""
    if isinstance(text, tuple):
        return text
    match = re.fullmatch(rf"(\d+)/({'|'.join(_QUOTA_WINDOWS)}|h)", text) if isinstance(text, str) else None
    if match is not None and not int(match[1]):
        raise ValueError("a quota of zero lets nothing through; take the route away instead")
    if match is None:
        raise ValueError("not a quota; write a number and its calendar window, as in 10000/day, 1000000/month")
    return int(match[1]), {"h": "hour"}.get(match[2], match[2])


def _quantity(text: object, units: dict[str, float] | dict[str, int], what: str, examples: str) -> float:
    match = re.fullmatch(rf"{_NUMBER}({'|'.join(units)})", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"not {what}; write a number with its unit, as in {examples}")
    return float(match[1]) * units[match[2]]


def _unit(parse: Callable[[object], Any], *parsed: type) -> BeforeValidator:
    """Figures are written with their unit in YAML (where there is a validation context); code may give them parsed."""

    def take(value: object, info: ValidationInfo) -> object:
        return value if info.context is None and isinstance(value, parsed) else parse(value)

    return BeforeValidator(take)


def _schema(pattern: str, *examples: str) -> Any:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


def format_duration(seconds: float) -> str:
    for unit in ("d", "h", "m", "s"):
        if seconds >= _DURATION_S[unit] and seconds % _DURATION_S[unit] == 0:
            return f"{int(seconds / _DURATION_S[unit])}{unit}"
    return f"{seconds * 1000:g}ms"


def format_size(octets: int) -> str:
    for unit in ("GiB", "MiB", "KiB"):
        if octets and octets % _SIZE_BYTES[unit] == 0:
            return f"{octets // _SIZE_BYTES[unit]}{unit}"
    return f"{octets}B"


Duration = Annotated[
    float,
    _unit(parse_duration, float),
    PlainSerializer(format_duration, when_used="json"),
    _schema(r"^\d+(\.\d+)?(ms|s|m|h|d)$", "2s", "500ms"),
]
"""Seconds, written with a unit."""

Size = Annotated[
    int,
    _unit(parse_size, int),
    PlainSerializer(format_size, when_used="json"),
    _schema(r"^\d+(\.\d+)?(B|KiB|MiB|GiB|kB|MB|GB)$", "1MiB"),
]
"""Octets, written with a unit."""


RateField = Annotated[
    Rate,
    BeforeValidator(parse_rate),
    PlainSerializer(lambda rate: f"{rate.count:g}/{_rate_unit(rate.seconds)}", when_used="json"),
    _schema(r"^\d+(\.\d+)?/(s|m|h|day|month)$", "50/s"),
]
"""Events per time, written as 50/s."""

Share = Annotated[float, _unit(parse_share, float), _schema(r"^\d+(\.\d+)?%$", "20%")]
"""0 to 1, written as a percentage."""

QuotaField = Annotated[
    tuple[int, str],
    BeforeValidator(parse_quota),
    PlainSerializer(lambda quota: f"{quota[0]}/{quota[1]}", when_used="json"),
    _schema(r"^\d+/(hour|h|day|week|month)$", "1000000/month"),
]
"""Events per calendar window, written as 10000/day."""

Name = Annotated[str, Field(pattern=NAME)]


def off_or(block: Any) -> BeforeValidator:
    """For `Annotated[SomeBlock | None, off_or(SomeBlock)]`: `off` (or false) is None."""

    def take(value: object) -> object:
        if value is None:
            raise ValueError("nothing is written here; write {} to take the defaults, or off")
        return None if is_off(value) else value

    return BeforeValidator(take, json_schema_input_type=block | Literal["off", False])


def is_off(value: object) -> bool:
    """YAML 1.2 reads `off` as text; `false` is accepted wherever `off` is."""
    return value is False or (isinstance(value, str) and value == "off")


def shorthand(field: str, block: Any) -> BeforeValidator:
    """A bare value stands for the block with that one field."""
    return BeforeValidator(
        lambda value: {field: value} if isinstance(value, str | int | float) else value,
        json_schema_input_type=block | str,
    )


ONE_OR_MANY = BeforeValidator(
    lambda value: (value,) if isinstance(value, str) else value, json_schema_input_type=str | tuple[str, ...]
)
"""A single piece of text is a list of one."""


class Files(Protocol):
    """What a model's paths are resolved by while a file is decoded: pydantic's validation context."""

    def resolve(self, written: str) -> str:
        """The absolute path; relative ones are relative to the file that holds them."""
        ...

    def read(self, path: str) -> bytes:
        """Contents of a file that the configuration depends on. Raises OSError."""
        ...


def file_path(unless: Callable[[str], object] = lambda text: False, *, exists: bool = True) -> AfterValidator:
    """Makes a path absolute; where `exists`, the file must be readable, and a change of it is a change of configuration.

    Without a validation context (a model made in code) the path stays as it is.
    """

    def take(written: str, info: ValidationInfo) -> str:
        files: Files | None = info.context
        if files is None or unless(written):
            return written
        path = files.resolve(written)
        if exists:
            try:
                files.read(path)
            except OSError as problem:
                raise ValueError(f"cannot read {path}: {problem.strerror}") from None
        return path

    return AfterValidator(take)


FilePath = Annotated[str, file_path()]
"""A file that must be there, relative to the file that names it."""

NewPath = Annotated[str, file_path(exists=False)]
"""A path that need not be there yet."""


def _rate_unit(seconds: float) -> str:
    return next(unit for unit, length in _RATE_S.items() if length == seconds)


class Secret(str):
    """A resolved secret: `str(secret)` is the value, its repr is the reference it came from.

    Only a reference (`${env:NAME}`, `${file:PATH}`) is accepted in YAML; the loader makes the Secret.
    """

    reference: str

    def __new__(cls, value: str, reference: str) -> Secret:
        made = super().__new__(cls, value)
        made.reference = reference
        return made

    def __repr__(self) -> str:
        return self.reference

    def __reduce__(self) -> tuple[type[Secret], tuple[str, str]]:
        return (Secret, (str.__str__(self), self.reference))


def _secret(value: object) -> Secret:
    if not isinstance(value, Secret):
        raise ValueError("a secret is never written here; refer to it as ${env:NAME} or ${file:/run/secrets/NAME}")
    return value


SecretField = Annotated[
    Secret,
    BeforeValidator(_secret),
    PlainSerializer(lambda secret: secret.reference, when_used="json"),
    _schema(r"^\$\{(env|file):.+\}$", "${env:TOKEN}"),
]
"""A secret, by reference only."""
