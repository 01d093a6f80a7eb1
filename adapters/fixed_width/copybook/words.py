"""Program text to text words, each with its place and whether it touches the one before. Knows no grammar.

Words stay raw (a picture is a run of touching words), because COPY REPLACING works on words before anyone
knows which of them are pictures. Rules: Language Reference, "Character-strings", "Separators".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from adapters.fixed_width.copybook.source import Text
from adapters.fixed_width.errors import CopybookError

# In order of preference; a name starts with a letter or digit and may contain hyphens and underscores.
_WORD = re.compile(
    r"""(?P<space>\s+)
      | (?P<literal>(?:[XGNZxgnz]|[Nn][Xx])?(?:"(?:[^"\n]|"")*"|'(?:[^'\n]|'')*'))
      | (?P<pseudo>==)
      | (?P<number>[+-]?\d*\.\d+(?:[Ee][+-]?\d{1,2})?(?![\w-])|[+-]\d+(?![\w.-]))
      | (?P<name>[\w\#@$-]+)
      | (?P<other>.)""",
    re.X | re.S,
)


@dataclass(frozen=True, slots=True)
class Word:
    """One text word. `kind` is literal, pseudo, number, name, other, or period for the separator."""

    kind: str
    text: str
    line: int
    column: int
    file: str
    touches: bool  # no space between it and the word before

    @property
    def key(self) -> str:
        """What comparison sees: names without case, literals as they are."""
        return self.text if self.kind == "literal" else self.text.upper()

    def error(self, message: str) -> CopybookError:
        return CopybookError(message, line=self.line, column=self.column, file=self.file)

    def renamed(self, text: str) -> Word:
        return replace(self, text=text)


def split_words(text: Text) -> list[Word]:
    """All words of the text; separating commas and semicolons are gone."""
    words: list[Word] = []
    touches = False
    for match in _WORD.finditer(text.characters):
        kind = str(match.lastgroup)
        if kind == "space":
            touches = False
            continue
        found = match.group()
        line, column = text.places[match.start()]
        followed_by_space = text.characters[match.end() : match.end() + 1].isspace() or match.end() == len(
            text.characters
        )
        if kind == "other" and found in "\"'":
            raise text.error(match.start(), "the literal has no closing quotation mark")
        if kind == "other" and found in ",;" and followed_by_space:
            touches = False  # "Separators": comma or semicolon followed by a space
            continue
        if kind == "other" and found == "." and followed_by_space:
            kind = "period"
        words.append(Word(kind, found, line, column, text.file, touches))
        touches = True
    return words


def literal_text(word: Word) -> str:
    """The characters between the quotation marks, doubled ones made single."""
    body = word.text.lstrip("XGNZxgnz")
    return body[1:-1].replace(body[0] * 2, body[0])


def joined(words: list[Word]) -> str:
    """Touching words written as one."""
    return "".join(word.text for word in words)
