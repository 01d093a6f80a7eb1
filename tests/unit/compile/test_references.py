"""${env:NAME} and ${file:PATH}: what they stand for, and what is said where they stand for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.api.config import Secret
from gateway.compile.source.references import Outside, References


@pytest.fixture
def references(tmp_path: Path) -> References:
    (tmp_path / "token").write_text("s3cret\n")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    return References(tmp_path, Outside({"HOST": "h1", "EMPTY": "", "YAML": "{a: 1}"}))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${env:HOST}", "h1"),
        ("http://${env:HOST}:80/${env:HOST}", "http://h1:80/h1"),
        ("${env:NONE:-x y}", "x y"),
        ("${env:NONE:-}", ""),
        ("${env:EMPTY:-default}", "default"),
        ("${env:HOST:-unused}", "h1"),
        ("${file:token}", "s3cret"),
        ("${env:YAML}", "{a: 1}"),
    ],
)
def test_references_stand_for_text(references: References, text: str, value: str) -> None:
    found = references.interpolate(text)
    assert isinstance(found, Secret)
    assert str(found) == value
    assert repr(found) == found.reference == text


def test_a_doubled_dollar_is_a_literal(references: References) -> None:
    found = references.interpolate("$${env:HOST}")
    assert found == "${env:HOST}"
    assert not isinstance(found, Secret)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${env:NONE}", "NONE is not set"),
        ("${env:HOTS}", "HOTS is not set; did you mean 'HOST'"),
        ("${env:EMPTY}", "EMPTY is empty"),
        ("${file:nope}", "No such file"),
        ("${file:empty}", "is empty"),
        ("${file:binary}", "not UTF-8"),
        ("${HOST}", "not a reference"),
        ("${env:HOST", "no closing brace"),
        ("${env:HOST and ${env:PORT}", "no closing brace"),
        ("${env:HOST-NAME}", "a name is made of letters"),
        ("${env:HOST-s3cret}", r"^after '\$\{env:HOST' a closing brace or a default"),
        ("${env:}", "not a reference"),
    ],
)
def test_what_does_not_resolve_says_why(references: References, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        references.interpolate(text)


def test_what_was_used_is_remembered(references: References, tmp_path: Path) -> None:
    references.interpolate("${env:HOST}${env:NONE:-x}${file:token}")
    assert set(references.used) == {("env", "HOST"), ("env", "NONE"), ("file", str(tmp_path / "token"))}
    assert references.used[("env", "NONE")] is None


def test_a_resolved_path_resolves_to_itself_also_when_the_folder_was_named_relatively(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    references = References(Path("config"), Outside({}))
    once = references.resolve("wsdl/orders.wsdl")
    assert once == str(tmp_path / "config" / "wsdl" / "orders.wsdl")
    assert references.resolve(once) == once
