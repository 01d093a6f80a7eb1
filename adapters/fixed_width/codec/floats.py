"""COMP-1 and COMP-2: IBM hexadecimal and IEEE floating point, with the shortest digits that read back.

IBM: z/Architecture Principles of Operation, "Hexadecimal-floating-point representation": sign, exponent of 16 in
excess 64, a fraction of 6 or 14 hexadecimal digits. Fractions do not fit Python's float beyond 53 bits, so long
ones are Decimal throughout.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from decimal import Context, Decimal

Number = int | float | Decimal

# 20 digits decide between neighbours, which 17 (or 9) tell apart.
_WIDE = Context(prec=20)
_SHORTER = {
    size: [Context(prec=digits) for digits in probes] for size, probes in ((4, range(6, 11)), (8, range(15, 20)))
}
_POWERS = {power: Context(prec=40).power(Decimal(16), power) for power in range(-64 - 14, 64)}
# Less than half of the last hexadecimal digit, and more: 20 digits of a long fraction are within 1 % of a half.
_HALVES = {
    power: (_WIDE.multiply(unit, Decimal("0.49")), _WIDE.multiply(unit, Decimal("0.51")))
    for power, unit in _POWERS.items()
}
_NOWHERE = (Decimal(0), Decimal("Infinity"))


def read_ibm(raw: bytes) -> Decimal:
    """The shortest decimal that `write_ibm` turns into these bytes again; unnormalised bytes keep their value.

    Any decimal of 6 digits (15 for long) survives its nearest hexadecimal fraction, so shorter ones need no probe.
    """
    size = len(raw)
    short = Decimal(0)
    power = (raw[0] & 0x7F) - 64 - 2 * (size - 1)
    fraction = int.from_bytes(raw[1:], "big")
    if not fraction:
        return short
    wanted = (fraction, raw[0] & 0x7F)
    lowest = 1 << 8 * (size - 1) - 4
    # Between neighbours at equal distances the distance tells, mostly: 3 µs of 15 for a record (loadtests/fixed_width.py)
    surely, hardly = _HALVES[power] if fraction > lowest else _NOWHERE
    if fraction < lowest:  # not normalised
        wanted = _nearest(*((fraction << 4 * power, 1) if power > 0 else (fraction, 1 << -4 * power)), size)
    value = _WIDE.multiply(fraction, _POWERS[power])
    for context in _SHORTER[size]:
        short = context.plus(value)
        off = _WIDE.subtract(short, value).copy_abs()
        if off < surely or (off < hardly and _nearest(*short.as_integer_ratio(), size) == wanted):
            break
    short = _WIDE.normalize(short)
    if "E+" in str(short) and short.adjusted() < 20:
        short = Decimal(int(short))  # 100, not 1E+2
    return short.copy_negate() if raw[0] >= 0x80 else short


def _nearest(numerator: int, denominator: int, size: int) -> tuple[int, int]:
    """Normalised fraction and characteristic nearest to a positive ratio, ties to even."""
    digits = 2 * (size - 1)
    low, high = 1 << 4 * (digits - 1), 1 << 4 * digits
    power = -((denominator.bit_length() - numerator.bit_length()) // 4) - digits
    fraction = _divided(numerator, denominator, power)
    if fraction >= high:
        power += 1
        fraction = _divided(numerator, denominator, power)
    elif fraction < low:
        power -= 1
        fraction = _divided(numerator, denominator, power)
        if fraction >= high:  # rounding up crosses the power of 16
            power, fraction = power + 1, low
    return fraction, power + digits + 64


def _divided(numerator: int, denominator: int, power: int) -> int:
    """numerator / denominator / 16**power, rounded to the nearest integer, ties to even."""
    if power > 0:
        denominator <<= 4 * power
    else:
        numerator <<= -4 * power
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient & 1))


def write_ibm(value: Number, size: int) -> bytes:
    """The nearest hexadecimal floating-point number. Raises OverflowError beyond about 7.2e75; below 5.4e-79 is 0."""
    if not value:
        return bytes(size)
    numerator, denominator = (value if value > 0 else -value).as_integer_ratio()
    fraction, characteristic = _nearest(numerator, denominator, size)
    if characteristic > 127:
        raise OverflowError("beyond the range of hexadecimal floating point")
    if characteristic < 0:
        return bytes(size)
    return bytes([characteristic | (0x80 if value < 0 else 0)]) + fraction.to_bytes(size - 1, "big")


def ieee_reader(size: int, *, little: bool) -> Callable[[bytes], float]:
    """Bytes to float; a short one gets the shortest digits that read back. Raises ValueError at NaN and infinities."""
    layout = struct.Struct(("<" if little else ">") + ("f" if size == 4 else "d"))

    def read(raw: bytes) -> float:
        value: float = layout.unpack(raw)[0]
        if not math.isfinite(value):
            raise ValueError("not a finite number")
        if size == 4:
            for precision in range(6, 10):
                short = float(f"{value:.{precision}g}")
                if layout.pack(short) == raw:
                    return short
        return value

    return read


def ieee_writer(size: int, *, little: bool) -> Callable[[Number], bytes]:
    """Number to bytes. Raises OverflowError where it would become infinite."""
    layout = struct.Struct(("<" if little else ">") + ("f" if size == 4 else "d"))

    def write(value: Number) -> bytes:
        number = float(value)
        if not math.isfinite(number):
            raise OverflowError("beyond the range of the floating-point item")
        return layout.pack(number)

    return write
