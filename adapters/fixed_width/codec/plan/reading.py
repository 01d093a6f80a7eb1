"""One elementary item: the lines of code that turn its bytes into a value. Knows nothing of groups or tables.

Locals that the code relies on: `r` the record, `s` its characters, `z` its digits, `h` its hexadecimal digits.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

from adapters.fixed_width.codec.codepages import CodePage, lenient_decode
from adapters.fixed_width.codec.edited import edited_picture
from adapters.fixed_width.codec.floats import ieee_reader, read_ibm
from adapters.fixed_width.codec.numbers import presenter
from adapters.fixed_width.codec.plan.literals import condition_names, is_number, pad_character
from adapters.fixed_width.codec.plan.writer import Writer
from adapters.fixed_width.codec.signs import MINUS_NIBBLES, PLUS_NIBBLES, digit_table, sign_table
from adapters.fixed_width.codec.written import date_reader, national_reader, number_reader
from adapters.fixed_width.model import Item, Kind, Sign
from adapters.fixed_width.options import Options

STRUCT_CODES = {1: "b", 2: "h", 4: "i", 8: "q"}
BLANKABLE = (Kind.ZONED, Kind.PACKED, Kind.EDITED, Kind.NUMBER, Kind.DATE, Kind.NATIONAL_ZONED)


class ItemReader:
    """Emits code for items of one plan."""

    def __init__(self, writer: Writer, options: Options, page: CodePage) -> None:
        self.w = writer
        self.options = options
        self.page = page
        self.needs: set[str] = set()  # which of s, z, h the code uses
        self.digit_table = digit_table(page.ebcdic)
        self.sign_table = sign_table(page.ebcdic)
        self._presented: dict[tuple[int, int], tuple[str, Callable[[int], object] | None]] = {}

    # Each method leaves the value in the local `v`; `a` and `b` are expressions of the item's start and end.

    def read(self, item: Item, at: Callable[[int], str]) -> None:
        """The item's value as JSON will show it, in `v`."""
        with ExitStack() as stack:
            if self._special(item, at):
                stack.enter_context(self.w.block("else:"))
            if self.options.lenient:
                with self.w.block("try:"):
                    self._shown(item, at)
                with self.w.block("except FAULTS:"):
                    self.w.line("v = None")
            else:
                self._shown(item, at)

    def raw(self, item: Item, at: Callable[[int], str]) -> None:
        """The value before it is dressed up: characters, or the integer of all digits."""
        assert item.kind is not None, "groups have no value"
        if item.kind in (Kind.TEXT, Kind.NATIONAL, Kind.DBCS) or (
            item.kind is Kind.EDITED and self.options.edited == "text"
        ):
            self._text(item, at)
        elif item.kind in (Kind.FLOAT, Kind.DOUBLE):
            self._float(item, at)
        else:
            getattr(self, f"_{item.kind.name.lower()}")(item, at)

    def _special(self, item: Item, at: Callable[[int], str]) -> bool:
        """Blanks and low-values, where the options give them a meaning. Returns whether an `else:` is needed."""
        blanks, lows = self.options.blanks, self.options.low_values
        if item.kind is Kind.DATE and blanks == "error":
            blanks = "null"  # a date that is not there has no other spelling
        cases: list[tuple[bytes, str]] = []
        if item.kind in BLANKABLE and not item.blank_when_zero and blanks != "error":
            blank = b"\x00\x20" * (item.size // 2) if item.kind is Kind.NATIONAL_ZONED else self.page.blank * item.size
            cases.append((blank, blanks))
        low = bytes(item.size)
        if lows == "null" and (item.kind in BLANKABLE or item.kind in (Kind.TEXT, Kind.NATIONAL, Kind.DBCS)):
            cases.append((low, "null"))
        elif lows == "blank" and item.kind in BLANKABLE and blanks != "error":
            cases.append((low, blanks))
        for index, (pattern, meaning) in enumerate(cases):
            if not index:
                self.w.line(f"t = r[{at(0)}:{at(item.size)}]")
            with self.w.block(f"{'elif' if index else 'if'} t == {pattern!r}:"):
                self.w.line("v = None" if meaning == "null" else "v = 0")
                if meaning == "zero":
                    self._present(item)
        return bool(cases)

    def _shown(self, item: Item, at: Callable[[int], str]) -> None:
        self.raw(item, at)
        self._present(item)
        names = condition_names(item, self.options)
        if names:
            self.w.line(f"v = {self.w.constant(names)}.get(v, v)")

    def _present(self, item: Item) -> None:
        if item.kind in (Kind.FLOAT, Kind.DOUBLE):
            if self.options.numbers == "string":
                self.w.line("v = str(v)")
            return
        if not is_number(item, self.options):
            return
        assert item.picture is not None, "every number but a float has a picture"
        kind, show = self._presenter(item.picture.scale, item.picture.digits)
        if show is None:
            return
        if kind == "decimal":
            unit = self.w.constant(Decimal(1).scaleb(-item.picture.scale), f"U{item.picture.scale}_")
            self.w.line(f"v = MULTIPLY(v, {unit})")
        elif kind == "power":
            self.w.line(f"v *= {10**-item.picture.scale}")
        else:
            self.w.line(f"v = {self.w.constant(show)}(v)")

    def _presenter(self, scale: int, digits: int) -> tuple[str, Callable[[int], object] | None]:
        key = (scale, digits)
        if key not in self._presented:
            self._presented[key] = presenter(scale, digits, self.options.numbers)
        return self._presented[key]

    def _characters(self, item: Item, at: Callable[[int], str]) -> str:
        """The expression for the item's characters."""
        if item.kind in (Kind.NATIONAL, Kind.NATIONAL_ZONED):
            return f"r[{at(0)}:{at(item.size)}].decode('utf-16-be')"
        if item.kind is Kind.DBCS:
            return f"{self.w.constant(self.page.read_dbcs)}(r[{at(0)}:{at(item.size)}])"
        if self.page.whole:
            self.needs.add("s")
            return f"s[{at(0)}:{at(item.size)}]"
        decode = lenient_decode(self.page) if self.options.lenient else self.page.decode
        return f"{self.w.constant(decode)}(r[{at(0)}:{at(item.size)}])"

    def _text(self, item: Item, at: Callable[[int], str]) -> None:
        expression = self._characters(item, at)
        pad = pad_character(item, self.options)
        if self.options.low_values == "blank" and item.pad is None:
            expression += ".replace('\\0', ' ')"
        match self.options.trim:
            case "pad":
                expression += f".{'lstrip' if item.justified or item.align_right else 'rstrip'}({pad!r})"
            case "both":
                expression += f".strip({pad!r})"
        self.w.line(f"v = {expression}")

    def _zoned(self, item: Item, at: Callable[[int], str]) -> None:
        self.needs.add("z")
        if item.blank_when_zero:
            with self.w.block(f"if r[{at(0)}:{at(item.size)}] == {self.page.blank * item.size!r}:"):
                self.w.line("v = 0")
            with self.w.block("else:"):
                self.w.line(f"v = int(z[{at(0)}:{at(item.size)}])")
            return
        last = item.size - 1
        match item.sign:
            case Sign.NONE:
                self.w.line(f"v = int(z[{at(0)}:{at(item.size)}])")
            case Sign.TRAILING:
                self.w.line(f"k = SIGN[r[{at(last)}]]")
                if last:
                    self.w.line(f"v = int(z[{at(0)}:{at(last)}]) * 10")
                    self.w.line("v = v + k if k >= 0 else k + 1 - v")
                else:
                    self.w.line("v = k if k >= 0 else k + 1")
            case Sign.LEADING:
                unit = 10**last
                self.w.line(f"k = SIGN[r[{at(0)}]]")
                self.w.line(f"v = int(z[{at(1)}:{at(item.size)}])" if last else "v = 0")
                self.w.line(f"v = v + k * {unit} if k >= 0 else (k + 1) * {unit} - v")
            case Sign.LEADING_SEPARATE | Sign.TRAILING_SEPARATE:
                leading = item.sign is Sign.LEADING_SEPARATE
                plus, minus = (0x4E, 0x60) if self.page.ebcdic else (0x2B, 0x2D)
                self.w.line(f"v = int(z[{at(1)}:{at(item.size)}])" if leading else f"v = int(z[{at(0)}:{at(last)}])")
                self.w.line(f"k = r[{at(0 if leading else last)}]")
                with self.w.block(f"if k == {minus}:"):
                    self.w.line("v = -v")
                with self.w.block(f"elif k != {plus}:"):
                    self.w.line("raise Misfit('+ or - is expected')")

    def _national_zoned(self, item: Item, at: Callable[[int], str]) -> None:
        reader = national_reader(item.sign is Sign.LEADING_SEPARATE, item.sign is Sign.TRAILING_SEPARATE)
        expression = f"{self.w.constant(reader)}({self._characters(item, at)})"
        if item.blank_when_zero:
            blank = b"\x00\x20" * (item.size // 2)
            expression = f"0 if r[{at(0)}:{at(item.size)}] == {blank!r} else {expression}"
        self.w.line(f"v = {expression}")

    def _packed(self, item: Item, at: Callable[[int], str]) -> None:
        assert item.picture is not None, "a packed item has a picture"
        start, sign = self._nibbles(item, at)
        self.w.line(f"v = int({start})")
        if item.picture.signed:
            with self.w.block(f"if {sign} in {MINUS_NIBBLES!r}:"):
                self.w.line("v = -v")
            with self.w.block(f"elif {sign} not in {PLUS_NIBBLES!r}:"):
                self.w.line("raise Misfit('the last nibble is no sign')")
        else:  # "PACKED-DECIMAL": an unsigned item carries F; C is what arithmetic leaves
            with self.w.block(f"if {sign} not in {PLUS_NIBBLES!r}:"):
                self.w.line("raise Misfit('the last nibble is no sign of an unsigned number')")
        if item.picture.digits % 2 == 0 and not self.options.lenient:
            limit = 10**item.picture.digits
            with self.w.block(f"if not -{limit} < v < {limit}:"):
                self.w.line("raise Misfit('the number has more digits than the picture')")

    def _nibbles(self, item: Item, at: Callable[[int], str]) -> tuple[str, str]:
        """Expressions for the digits and for the sign of a packed item."""
        if at(0).isdigit():
            self.needs.add("h")
            start, end = int(at(0)) * 2, int(at(item.size)) * 2
            return f"h[{start}:{end - 1}]", f"h[{end - 1}]"
        self.w.line(f"t = r[{at(0)}:{at(item.size)}].hex()")
        return "t[:-1]", "t[-1]"

    def _unsigned_packed(self, item: Item, at: Callable[[int], str]) -> None:
        assert item.picture is not None, "a packed item has a picture"
        self.w.line(f"v = int(r[{at(0)}:{at(item.size)}].hex())")
        if item.picture.digits % 2:
            with self.w.block(f"if v >= {10**item.picture.digits}:"):
                self.w.line("raise Misfit('the number has more digits than the picture')")

    def _binary(self, item: Item, at: Callable[[int], str]) -> None:
        assert item.picture is not None, "a binary item has a picture"
        signed = item.picture.signed
        code = STRUCT_CODES.get(item.size)
        if code is None:
            order = "little" if item.little_endian else "big"
            self.w.line(f"v = int.from_bytes(r[{at(0)}:{at(item.size)}], {order!r}, signed={signed})")
        else:
            name = f"UNPACK_{'L' if item.little_endian else 'B'}{code if signed else code.upper()}"
            layout = struct.Struct(("<" if item.little_endian else ">") + (code if signed else code.upper()))
            self.w.constants.setdefault(name, layout.unpack_from)
            self.w.line(f"v, = {name}(r, {at(0)})")
        if not (item.full_range or self.options.trunc == "bin" or self.options.lenient):
            limit = 10**item.picture.digits
            # TRUNC(STD): what the picture cannot hold is not there.
            with self.w.block(f"if not -{limit} < v < {limit}:" if signed else f"if v >= {limit}:"):
                self.w.line("raise Misfit('the number has more digits than the picture')")

    def _float(self, item: Item, at: Callable[[int], str]) -> None:
        little = self.options.dialect != "ibm"
        reader: Callable[[bytes], Any] = (
            read_ibm if self.options.float == "ibm" else ieee_reader(item.size, little=little)
        )
        self.w.line(f"v = {self.w.constant(reader)}(r[{at(0)}:{at(item.size)}])")

    def _edited(self, item: Item, at: Callable[[int], str]) -> None:
        assert item.picture is not None, "an edited item has a picture"
        picture = edited_picture(item.picture.symbols, blank_when_zero=item.blank_when_zero)
        self.w.line(f"v = {self.w.constant(picture.read)}({self._characters(item, at)})")

    def _number(self, item: Item, at: Callable[[int], str]) -> None:
        assert item.picture is not None, "a number of a plain layout has its scale there"
        reader = number_reader(item.picture.scale, item.pad or " ", point=item.written_point)
        self.w.line(f"v = {self.w.constant(reader)}({self._characters(item, at)})")

    def _date(self, item: Item, at: Callable[[int], str]) -> None:
        assert item.date_format is not None, "a date has its format"
        self.w.line(f"v = {self.w.constant(date_reader(item.date_format))}({self._characters(item, at)})")
