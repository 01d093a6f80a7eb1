"""A walk over the words of a copybook: what comes next, and what is wrong when it does not. Knows no clauses."""

from __future__ import annotations

import re
from dataclasses import dataclass

from adapters.fixed_width.copybook.words import Word


@dataclass(frozen=True, slots=True)
class Reference:
    """A data-name with its qualifiers, innermost first."""

    name: str
    of: tuple[str, ...]
    word: Word


class Reader:
    """The words, and where we are in them."""

    def __init__(self, words: list[Word]) -> None:
        self.words = words
        self.position = 0

    @property
    def done(self) -> bool:
        return self.position >= len(self.words)

    @property
    def word(self) -> Word:
        if self.done:
            raise self.words[-1].error("the copybook ends in the middle of an entry: a period is missing")
        return self.words[self.position]

    def take(self) -> Word:
        word = self.word
        self.position += 1
        return word

    def accept(self, *keys: str) -> Word | None:
        return self.take() if not self.done and self.word.kind == "name" and self.word.key in keys else None

    def run(self) -> list[Word]:
        """A word and all that touch it, without a closing separator."""
        run = [self.take()]
        while not self.done and self.word.touches and self.word.kind != "period":
            run.append(self.take())
        return run

    def integer(self, what: str) -> int:
        word = self.take()
        if not re.fullmatch(r"\d{1,10}", word.text):
            raise word.error(f"{what} is expected, not '{word.text}'")
        return int(word.text)

    def data_name(self) -> Word:
        word = self.take()
        if word.kind != "name" or not re.search(r"[A-Za-z]", word.text):
            raise word.error(f"a data-name is expected, not '{word.text}'")
        return word

    def reference(self) -> Reference:
        word = self.data_name()
        of = []
        while self.accept("OF", "IN"):
            of.append(self.data_name().key)
        return Reference(word.key, tuple(of), word)
