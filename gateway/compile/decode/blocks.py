"""Decodes one block of a file by its model, and gathers what is wrong with it. Knows no block in particular."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from gateway.api.config import Secret
from gateway.api.policy import Complaint
from gateway.compile.decode.errors import Keys, mistakes, yaml_keys
from gateway.compile.finding import Finding, FindingLevel, shown_path
from gateway.compile.masking import secrets_in, without_secrets
from gateway.compile.source.files import SourceFile
from gateway.compile.source.places import locate

M = TypeVar("M", bound=BaseModel)

_CONVERTED: Mapping[str, Callable[[str], object]] = {
    "int_type": int,
    "float_type": float,
    "bool_type": {"true": True, "false": False}.__getitem__,
}


@dataclass(slots=True)
class Remarks:
    """What is wrong in one file. Places are looked up when the findings are asked for: that composes the file again."""

    file: SourceFile
    _entries: list[tuple[Keys, str, FindingLevel, bool]] = field(default_factory=list)

    def add(self, keys: Keys, message: str, level: FindingLevel = "error", *, at_key: bool = False) -> None:
        self._entries.append((keys, message, level, at_key))

    def findings(self) -> list[Finding]:
        if not self._entries:
            return []
        root = self.file.root()
        hidden = list(secrets_in(self.file.value))  # whoever wrote a message did not know what came from a reference
        found = []
        for keys, message, level, at_key in self._entries:
            if keys in self.file.unread:
                continue  # what could not be read is wrong in any other way too
            line, column = (1, 1) if root is None else locate(root, keys, key=at_key)
            found.append(
                Finding(
                    self.file.name,
                    line,
                    column,
                    level,
                    shown_path(self.file.value, keys),
                    without_secrets(message, hidden),
                )
            )
        return found


def decode(model: type[M], raw: object, remarks: Remarks, at: Keys) -> M | None:
    """`raw`, which stands at `at`, as the model; None when it does not fit, which the remarks then say."""
    references = remarks.file.references
    try:
        return model.model_validate(raw, context=references)
    except ValidationError as problem:
        converted = _with_references_converted(raw, problem)
        if converted is not raw:
            try:
                return model.model_validate(converted, context=references)
            except ValidationError as remaining:
                problem = remaining
        for mistake in mistakes(problem, model, raw):
            remarks.add((*at, *mistake.keys), mistake.message, at_key=mistake.at_key)
        return None


def _with_references_converted(raw: object, problem: ValidationError) -> object:
    """`${env:PORT}` where a number belongs: the text is taken for the number that it spells."""
    for error in problem.errors(include_url=False):
        value = error["input"]
        if isinstance(value, Secret) and error["type"] in _CONVERTED:
            try:
                number = _CONVERTED[error["type"]](str(value))
            except (ValueError, KeyError):
                continue
            raw = _replaced(raw, yaml_keys(error["loc"], raw), number)
    return raw


def _replaced(raw: Any, keys: Keys, value: object) -> object:
    if not keys:
        return value
    copy = raw.copy()
    copy[keys[0]] = _replaced(raw[keys[0]], keys[1:], value)
    return copy


def complain(remarks: Remarks, at: Keys, complaint: Complaint) -> None:
    """What a policy or adapter says about its block, which stands at `at`."""
    remarks.add((*at, *complaint.path), complaint.message, "warning" if complaint.level == "warning" else "error")


def digest_of(raw: object, files: Mapping[str, bytes | None] | None = None) -> bytes:
    """The same for the same content, in every process: values as written, references by what they stand for."""
    hashed = blake2b(orjson.dumps(raw, option=orjson.OPT_NON_STR_KEYS, default=repr), digest_size=16)
    for path, content in sorted((files or {}).items()):
        hashed.update(path.encode("utf-8", "surrogateescape") + (content or b"-"))
    return hashed.digest()
