"""What is found wrong with a configuration: one finding, with its place. Knows neither how it is found nor how it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Literal

from gateway.api.config import Secret

FindingLevel = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """`file` is relative to the configuration's folder; line and column count from 1. Line 0: the file as a whole."""

    file: str
    line: int
    column: int
    level: FindingLevel
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(part for part in (place, self.level, self.path, self.message) if part)

    def as_dict(self) -> dict[str, str | int]:
        return asdict(self)


def has_errors(findings: Iterable[Finding]) -> bool:
    return any(finding.level == "error" for finding in findings)


def suggestion(written: object, known: Iterable[object]) -> str:
    """`; did you mean 'burst'?`, or nothing where no known word is near."""
    near = get_close_matches(str(written), sorted({str(word) for word in known}), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


def listed(words: Sequence[object], conjunction: str = "or") -> str:
    """`a, b or c`."""
    texts = [str(word) for word in words]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} {conjunction} {texts[-1]}"


def shown_path(value: object, keys: Sequence[str | int]) -> str:
    """`routes.create-order.policies.rate_limit.burst`: entries of a list by their name, where they have one."""
    shown: list[str] = []
    for key in keys:
        if isinstance(key, int):
            value = value[key] if isinstance(value, list) and key < len(value) else None
            name = value.get("name") if isinstance(value, Mapping) else None
            if isinstance(name, str) and not isinstance(name, Secret):
                shown.append(name)
            elif shown:
                shown[-1] += f"[{key}]"
            else:
                shown.append(f"[{key}]")
        else:
            value = value.get(key) if isinstance(value, Mapping) else None
            shown.append(str(key))
    return ".".join(shown)


def counted(number: int, word: str) -> str:
    """`1 route`, `2 routes`."""
    return f"{number} {word}{'' if number == 1 else 's'}"
