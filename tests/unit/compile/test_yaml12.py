"""YAML 1.2 by its core schema, and the findings that replace what YAML lets pass."""

from __future__ import annotations

import pytest

from gateway.compile.source import yaml12
from gateway.compile.source.places import locate
from gateway.compile.source.yaml12 import Unreadable, compose, load


def value(text: str) -> object:
    document = load(text, lambda each: each)
    assert document.problems == []
    return document.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("off", "off"),
        ("on", "on"),
        ("yes", "yes"),
        ("NO", "NO"),
        ("true", True),
        ("False", False),
        ("tRue", "tRue"),
        ("1:30", "1:30"),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("-3", -3),
        ("+3", 3),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1.2.3", "1.2.3"),
        ("-", "-"),
        (".", "."),
        ("2024-01-01", "2024-01-01"),
        ("~", None),
        ("", None),
        ("null", None),
        ("-.inf", float("-inf")),
        ("=", "="),
        ("'5'", "5"),
        ('"true"', "true"),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_scalars_of_the_core_schema(text: str, expected: object) -> None:
    found = value(f"a: {text}" if text != "-" else "a: '-'")
    assert found == {"a": expected}
    assert type(found["a"]) is type(expected)  # type: ignore[index]


def test_merge_keys_are_ordinary_keys() -> None:
    assert value("<<: x") == {"<<": "x"}


def problems(text: str) -> list[tuple[int, int, str]]:
    return [(each.line, each.column, each.message) for each in load(text, lambda each: each).problems]


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a: 1\nb: 2\na: 3", 3, 1, "written twice; first at line 1, column 1"),
        ("a: !!str 3", 1, 4, "tags are not used"),
        ("a: !mine {b: 1}", 1, 4, "tags are not used"),
        ("[1]: 2", 1, 1, "a key is plain text"),
        ("a: &x [*x]", 1, 4, "contains itself"),
        ("a: 99999999999999999999", 1, 4, "64 bits"),
    ],
)
def test_what_yaml_lets_pass_is_a_problem(text: str, line: int, column: int, words: str) -> None:
    (found,) = problems(text)
    assert found[:2] == (line, column)
    assert words in found[2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("match: {path: /customers/{id}}", "quoted"),
        ("a: @b", "quoted"),
        ("\ta: 1", "tabs"),
        ("a: b: c", "mapping values are not allowed"),
        ("a: 1\n---\nb: 2", "another document"),
        ("a: \x00", "characters are not allowed"),
        ("a: " + "[" * 100_000, "deeper than"),
        ("- " * 100_000, "deeper than"),
        ("? " * 100_000, "deeper than"),
        ("\n".join("  " * depth + "a:" for depth in range(200)), "deeper than"),
        ("a: &a [1, 1]\n" + "".join(f"b{i}: &b{i} [*a, *a]\n" for i in range(20)), "aliases"),
    ],
)
@pytest.mark.parametrize("composer", ["libyaml", "plain"])
def test_what_cannot_be_read_says_why(text: str, words: str, composer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if composer == "plain":
        monkeypatch.setattr(yaml12, "_composer", yaml12._PlainComposer)
    with pytest.raises(Unreadable) as refused:
        load(text, lambda each: each)
    assert words in refused.value.problem.message
    assert refused.value.problem.line >= 1


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a:\n  - b: 1\n    c: 2\n   d: 3", 4, "compare how far"),
        ("a:\n  b: 1\n   c: 2", 3, "compare how far"),
        ("a: b: c", 1, "quote text that holds a colon"),
        ("a:\n  b: 1\n  c:2\n  d: 3", 4, "ends with a colon and a blank"),
        ('a:\n  b: "x\n  c: 2\n', 4, "the quote that was opened at line 2 is not closed"),
    ],
)
def test_slips_of_the_hand_are_told_what_to_look_at(text: str, line: int, words: str) -> None:
    with pytest.raises(Unreadable) as caught:
        value(text)
    assert caught.value.problem.line == line
    assert words in caught.value.problem.message


def test_an_unquoted_reference_inside_braces_says_quote_it() -> None:
    with pytest.raises(Unreadable) as refused:
        load("a: [{b: ${env:X}}]", lambda each: each)
    assert "quoted" in refused.value.problem.message


def test_both_composers_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: [1, 'x', {b: off, c: \"y\"}]\nd: |\n  text\ne: &x 5\nf: *x\n"
    with_libyaml = value(text)
    monkeypatch.setattr(yaml12, "_composer", yaml12._PlainComposer)
    assert value(text) == with_libyaml == {"a": [1, "x", {"b": "off", "c": "y"}], "d": "text\n", "e": 5, "f": 5}


def test_an_interpolation_error_keeps_its_place() -> None:
    def refuse(text: str) -> str:
        raise ValueError("no such thing")

    document = load("a:\n  - b: x${y}", refuse)
    assert [(each.line, each.column, each.path, each.message) for each in document.problems] == [
        (2, 8, ("a", 0, "b"), "no such thing")
    ]


def test_places_of_values_and_keys() -> None:
    root = compose("a:\n  b: {c: 1, d: 2}\n  e:\n    - f: 3\n")
    assert root is not None
    assert locate(root, ("a", "b", "d")) == (2, 16)
    assert locate(root, ("a", "b", "d"), key=True) == (2, 13)
    assert locate(root, ("a", "b")) == (2, 3)  # a collection is found at its key
    assert locate(root, ("a", "e", 0, "f")) == (4, 10)
    assert locate(root, ("a", "b", "nowhere")) == (2, 3)
    assert locate(root, ()) == (1, 1)


def test_a_second_document_is_said_to_be_one() -> None:
    with pytest.raises(Unreadable, match="another document begins here"):
        load("a: 1\n---\nb: 1\n", str)
