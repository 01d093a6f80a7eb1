"""COBOL source lines to program text: reference formats, comments, continuation. Knows no words of the language.

Rules: Enterprise COBOL for z/OS Language Reference, "Reference format".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from adapters.fixed_width.errors import CopybookError

_DIRECTIVE = re.compile(
    r"\s*(>>\s*SOURCE\s+(FORMAT\s+)?(IS\s+)?(?P<format>FREE|FIXED)|\$SET\s+SOURCEFORMAT\s*\(?\s*[\"']?(?P<mf>FREE|FIXED))",
    re.I,
)
_IGNORED = re.compile(r"\s*(EJECT|SKIP[123]|TITLE\s+(\"[^\"]*\"|'[^']*'))\s*\.?\s*$", re.I)  # listing control only
_INDICATORS = frozenset(" *-/dD$")
_FREE_START = re.compile(r"(\d\d?\s+[A-Za-z]|\s+\d\d?\s|\s*\*>|COPY\s)", re.I)
_CARD = 80
_AREA_END = 72  # "Reference format": columns 73-80 are not part of the program


@dataclass(frozen=True, slots=True)
class Text:
    """Program text with the place of each character; lines end in a newline."""

    characters: str
    places: list[tuple[int, int]]  # line and column, from 1
    file: str

    def error(self, position: int, message: str) -> CopybookError:
        line, column = self.places[min(position, len(self.places) - 1)] if self.places else (0, 0)
        return CopybookError(message, line=line, column=column, file=self.file)


def _expanded(line: str) -> tuple[str, list[int]]:
    """Tabs to columns (stops every 8, as editors on the workstation put them), with the original column of each character."""
    out: list[str] = []
    columns: list[int] = []
    for index, character in enumerate(line, 1):
        width = 8 - len(out) % 8 if character == "\t" else 1
        out.extend(" " * width if character == "\t" else character)
        columns.extend([index] * width)
    return "".join(out), columns


def looks_fixed(lines: list[str]) -> bool:
    """Whether every line fits the fixed format: 80 columns, an indicator in column 7, nothing but a number before it.

    A sequence area may hold any characters, but a level number there means free format.
    """
    return all(_fits_fixed(_expanded(line.rstrip())[0]) for line in lines if line.strip())


def _fits_fixed(line: str) -> bool:
    if len(line) < 7:
        return line.strip().isdigit()
    if line[6] in "*/":
        return True
    return line[6] in _INDICATORS and len(line) <= _CARD and not _FREE_START.match(line[:7] + " ")


def program_text(source: str, *, file: str = "", form: str = "auto") -> Text:
    """Program text of `source`; `form` is fixed, free or auto (a directive decides, else what the lines look like)."""
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if form == "auto":
        form = "fixed" if looks_fixed([line for line in lines if not _DIRECTIVE.match(line)]) else "free"
    characters: list[str] = []
    places: list[tuple[int, int]] = []
    open_literal = ""
    for number, raw in enumerate(lines, 1):
        if directive := _DIRECTIVE.match(raw):
            form = (directive["format"] or directive["mf"]).lower()
            continue
        line, columns = _expanded(raw.rstrip("\x1a\n"))
        start, end = 0, len(line)
        continued = False
        if form == "fixed":
            indicator = line[6:7]
            if indicator and indicator in "*/$dD":
                continue  # comments; debugging lines are comments without WITH DEBUGGING MODE
            if indicator not in ("", " ", "-"):
                raise CopybookError(f"unknown indicator '{indicator}' in column 7", line=number, column=7, file=file)
            start, end = min(7, end), min(_AREA_END, end)
            continued = indicator == "-"
        elif line.lstrip().startswith("*") and (line.lstrip().startswith("*>") or line[:7].strip()[:1] == "*"):
            continue  # a comment of the fixed format in a free-format file is common and can mean nothing else
        if _IGNORED.match(line[start:end]):
            continue
        if continued:
            while line[start:end][:1] == " ":
                start += 1
            if not characters or start >= end:
                raise CopybookError("a continuation line with nothing to continue", line=number, column=7, file=file)
            characters.pop()  # the newline
            places.pop()
            if (
                open_literal
            ):  # "Continuation lines": a literal goes on after a quotation mark, blanks to column 72 included
                if line[start] != open_literal:
                    raise CopybookError(
                        "a continued literal must go on with its quotation mark",
                        line=number,
                        column=columns[start],
                        file=file,
                    )
                start += 1
            else:  # otherwise the first character follows the last one of the line before
                while characters and characters[-1] in " \n":
                    characters.pop()
                    places.pop()
        elif open_literal:
            raise CopybookError(
                "the literal on the line before has no closing quotation mark", line=number, column=1, file=file
            )
        body = line[start:end]
        position = 0
        while position < len(body):
            character = body[position]
            if open_literal:
                open_literal = "" if character == open_literal else open_literal
            elif character in "\"'":
                open_literal = character
            elif body.startswith("*>", position):  # "Floating comment indicators"
                break
            characters.append(character)
            places.append((number, columns[start + position]))
            position += 1
        if open_literal and form == "fixed":
            for column in range(end, _AREA_END):
                characters.append(" ")
                places.append((number, column + 1))
        elif open_literal:
            raise CopybookError(
                "the literal has no closing quotation mark", line=number, column=columns[start], file=file
            )
        characters.append("\n")
        places.append((number, len(raw) + 1))
    if open_literal:
        raise CopybookError("the last literal has no closing quotation mark", line=len(lines), column=1, file=file)
    return Text("".join(characters), places, file)
