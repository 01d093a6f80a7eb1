"""Turns what pydantic says into what ops can act on: where it is in the YAML, what is wrong, and what was meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.api.config import NAME, Block, Secret
from gateway.compile.available import ADAPTERS, POLICIES
from gateway.compile.finding import listed, suggestion

Keys = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a block. `keys` lead to it from the block; `at_key`: the key itself is what is wrong."""

    keys: Keys
    message: str
    at_key: bool = False


# What was expected, when the value has the wrong shape altogether.
_SHAPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "float_type": "a number",
    "float_parsing": "a number",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "mapping_type": "a mapping",
    "none_required": "nothing",
}
_FEW = 10  # names of fields that a message lists where none is near
_OUTSHONE = {*_SHAPES, "literal_error", "too_short"}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def mistakes(problem: ValidationError, model: type[BaseModel], raw: object) -> list[Mistake]:
    """What is wrong with `raw`, which `model` refused; in the order of the fields."""
    by_place: defaultdict[Keys, list[ErrorDetails]] = defaultdict(list)
    for error in problem.errors(include_url=False):
        by_place[yaml_keys(error["loc"], raw, error["type"])].append(error)
    found = []
    for keys, errors in by_place.items():
        deeper = any(len(other) > len(keys) and other[: len(keys)] == keys for other in by_place)
        if deeper and all(error["type"] in _OUTSHONE for error in errors):
            continue  # another branch of a union took the value's shape, and says more; or no entry of a list was sound
        found.append(Mistake(keys, _message(errors, model, keys), errors[0]["type"] == "extra_forbidden"))
    return found


def yaml_keys(loc: Sequence[int | str], raw: object, kind: str = "") -> Keys:
    """The part of pydantic's location that is in the YAML: it also names branches of unions, and shorthands written out."""
    keys: list[str | int] = []
    at = raw
    for index, step in enumerate(loc):
        in_list = isinstance(at, list | tuple) and isinstance(step, int) and step < len(at)
        if in_list or (isinstance(at, Mapping) and step in at):
            at = at[step]  # type: ignore[index]  # one of the two, as was just seen
            keys.append(step)
        elif kind == "missing" and index == len(loc) - 1 and isinstance(at, Mapping):
            keys.append(step)
    return tuple(keys)


def _message(errors: Sequence[ErrorDetails], model: type[BaseModel], keys: Keys) -> str:
    shapes = [_SHAPES[error["type"]] for error in errors if error["type"] in _SHAPES]
    words = [error["ctx"]["expected"] for error in errors if error["type"] == "literal_error"]
    others = [error for error in errors if error["type"] not in _SHAPES and error["type"] != "literal_error"]
    if others:
        return "; ".join(dict.fromkeys(_single(error, model, keys) for error in others))
    value = errors[0]["input"]
    expected = listed(list(dict.fromkeys([*words, *shapes])))
    return f"expected {expected}, not {_shown(value)}{_hint(value, shapes, words)}"


def _single(error: ErrorDetails, model: type[BaseModel], keys: Keys) -> str:
    context: Mapping[str, Any] = error.get("ctx") or {}
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"unknown field{_meant(error['loc'][-1], fields_at(model, error['loc'][:-1]))}"
    if kind == "missing":
        return "this field is required"
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_pattern_mismatch":
        if context["pattern"] == NAME:
            return "not a name; names are made of a-z, 0-9, _ and -, begin with a letter or digit and have at most 63"
        return f"{_shown(error['input'])} does not have the form {context['pattern']}"
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{_shown(error['input'])} is out of range: {words} {context[bound]}"
    if kind in ("too_short", "string_too_short"):
        return (
            "nothing is in it"
            if context.get("min_length") == 1
            else f"at least {context.get('min_length')} belong here"
        )
    if kind in ("invalid_key", "recursion_loop"):
        return "a key is text here; quote it"
    return f"{error['msg'][:1].lower()}{error['msg'][1:]}"


def _meant(written: int | str, fields: Sequence[str]) -> str:
    if written == "<<":
        return "; merge keys are not YAML 1.2: write the fields out"
    for belong, names in (("policies", POLICIES), ("adapter", ADAPTERS)):
        if written in names and belong in fields:
            return f"; write it under `{belong}`"
    few = f"; the fields here are {listed(fields, 'and')}" if 1 < len(fields) <= _FEW else ""
    return suggestion(written, fields) or few


def _shown(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case Secret():
            return f"what {value.reference} stands for"
        case bool():
            return "true" if value else "false"
        case str():
            return f"'{value}'" if len(value) <= 60 else "this text"
        case int() | float():
            return f"the number {value}"
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return "this"


def _hint(value: object, shapes: Sequence[str], words: Sequence[str]) -> str:
    if "text" in shapes and isinstance(value, Mapping) and len(value) == 1 and None in value.values():
        return f'; quote it, as in "{{{next(iter(value))}}}"'
    if "text" in shapes and isinstance(value, int | float):
        return "; quote it"
    if type(value) is str and value.isdecimal() and ({"a whole number", "a number"} & {*shapes} or value in words):
        return "; leave the quotes out"
    if "true or false" in shapes and value in ("yes", "on", "no", "off"):
        return "; YAML 1.2 reads yes, no, on and off as text"
    if words and isinstance(value, str):
        return suggestion(value, [part.strip("' ") for text in words for part in text.replace(" or ", ",").split(",")])
    if value is None and "a mapping" in shapes:
        return "; write {} to take the defaults"
    return ""


def fields_at(model: type[BaseModel], loc: Iterable[int | str]) -> list[str]:
    """Names, as in YAML, of the fields that may stand at a location below `model`."""
    models: list[type[BaseModel]] = [model]
    for step in loc:
        below = [
            inner
            for each in models
            for name, info in each.model_fields.items()
            if (info.alias or name) == step
            for inner in _models_in(info.annotation)
        ]
        models = below or models
    return [info.alias or name for each in models for name, info in each.model_fields.items()]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, Block):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
