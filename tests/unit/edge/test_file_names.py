"""How files are called: what callers bring leads into no other folder, hides nothing and matches no other's."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.api.errors import RequestRefused
from gateway.api.settings.upstream import Drop
from gateway.edge.file_names import of_drop
from gateway.testing.exchange import make_exchange


def named(drop: dict[str, Any], value: str = "42") -> tuple[str, str | None]:
    names_of = of_drop(Drop.model_validate(drop))
    assert names_of is not None
    names = names_of(make_exchange(params={"id": value}))
    return names.written, names.answers


def test_names_and_patterns() -> None:
    written, answers = named({"name": "O-{path.id}-{file.unique}.dat", "answers": "../out/{file.stem}.*"})
    assert re.fullmatch(r"O-42-[0-9a-f]{32}\.dat", written)
    assert answers == f"../out/{written[:-4]}.*"
    written, answers = named({"name": "{file.date}-{file.time}-{path.id}"})
    assert re.fullmatch(r"\d{8}-\d{6}-42", written)
    assert answers is None


@pytest.mark.parametrize(
    "value", ["", "..", "../x", "a/b", "*", "a?", "[a]", ".hidden", "a\0", "a\nb", "é", "a\\b", "x" * 300, "~"]
)
def test_what_callers_bring(value: str) -> None:
    with pytest.raises(RequestRefused) as raised:
        named({"name": "{path.id}", "answers": "{path.id}.*"}, value)
    assert (raised.value.status, raised.value.code) == (422, "drop.name")


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        ({"name": "orders.dat"}, "every call would write the same file"),
        ({"name": "in/{file.unique}"}, "without a slash"),
        ({"name": ".{file.unique}"}, "not hidden"),
        ({"name": "{file.unique}", "answers": "/out/*"}, "relative to the folder"),
        ({"name": "{file.unique}", "answers": ""}, "relative to the folder"),
        ({"name": "{file.name}"}, "possible are {file.unique}"),
        ({"name": "{body./id}"}, "no placeholder here"),
        ({"name": "{file.unique}", "poll": "1ms"}, "at least 10ms"),
    ],
)
def test_configurations_that_make_no_sense(drop: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        Drop.model_validate(drop)


def test_no_folder() -> None:
    assert of_drop(None) is None
