"""Fixed-width records: how many a second, with what memory, and what other packages from PyPI do with the same file.

    python loadtests/fixed_width.py [--records 100000] [--octets 1000000000] [--peer-python PYTHON] [--record]

copybooks/account.cpy has 200 bytes and 25 fields: text, zoned (plain, overpunched, separate sign), packed, binary, COMP-2. Values are
random and spread over their ranges. Figures are processor time on one core, start-up taken off; for the commands that is the child's, reading and
writing included. Memory is the highest resident size of `copybook decode` on a file of --octets, beside that on a file of 1 MB.

copybooks/plain.cpy leaves out what the peers cannot read (binary, separate signs, floating point). --peer-python is a Python that has
coboljsonifier with simplejson, and cobolio (which gives numbers and text as they stand, untrimmed). --record writes loadtests/results/fixed_width.txt.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import random
import resource
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from machine import record

from adapters.fixed_width.codec.jsontext import dumps, loads_raw
from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.model import Item, Kind
from adapters.fixed_width.options import Options
from adapters.fixed_width.reading import read_layout

HERE = Path(__file__).parent
COMMAND = [sys.executable, "-c", "from gateway.cli import main; main()", "copybook"]
AT_A_TIME = 10_000

PEERS = {}
PEERS["coboljsonifier"] = """
import sys, time, simplejson
from coboljsonifier.config.parser_type_enum import ParseType
from coboljsonifier.copybookextractor import CopybookExtractor
from coboljsonifier.parser import Parser
parser = Parser(CopybookExtractor(sys.argv[1]).dict_book_structure, ParseType.BINARY_EBCDIC).build()
count = 0
with open(sys.argv[2], "rb") as source, open("/dev/null", "w") as out:
    began = time.process_time()
    while record := source.read(200):
        parser.parse(record)
        out.write(simplejson.dumps(parser.value) + "\\n")
        count += 1
print(count / (time.process_time() - began))
"""
PEERS["cobolio"] = """
import sys, time, json, cobolio
length, layout = cobolio.copybook_to_layout(open(sys.argv[1]).read())
count = 0
with open(sys.argv[2], "rb") as source, open("/dev/null", "w") as out:
    began = time.process_time()
    while record := source.read(length):
        out.write(json.dumps(cobolio.loads(record, layout), default=str) + "\\n")
        count += 1
print(count / (time.process_time() - began))
"""


def value_of(item: Item, draw: random.Random) -> Any:
    if item.is_group:
        return {child.name.lower().replace("-", "_"): value_of(child, draw) for child in item.children}
    if item.kind is Kind.DOUBLE:
        return draw.uniform(-1e6, 1e6)
    if item.kind is Kind.TEXT:
        return "".join(draw.choices(string.ascii_letters + " ", k=draw.randrange(item.size + 1))).rstrip()
    assert item.picture is not None, "numbers have a picture"
    limit = 10**item.picture.digits
    number = draw.randrange(-limit + 1 if item.picture.signed else 0, limit)
    return Decimal(number).scaleb(-item.picture.scale) if item.picture.scale else number


def make(folder: Path, name: str, records: int) -> tuple[RecordCodec, Path, Path]:
    codec = RecordCodec(read_layout(HERE / "copybooks" / f"{name}.cpy"), Options())
    draw = random.Random(11)
    item = codec.layout.records[0]
    data, lines = folder / f"{name}.bin", folder / f"{name}.jsonl"
    with data.open("wb") as out, lines.open("wb") as written:
        for begin in range(0, records, AT_A_TIME):
            part = b"".join(codec.write(value_of(item, draw) for _ in range(min(AT_A_TIME, records - begin))))
            out.write(part)
            written.writelines(dumps(value) + b"\n" for value in codec.read(io.BytesIO(part)))
    return codec, data, lines


def cpu_of(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def command_cpu(arguments: list[str], given: Path | None) -> float:
    """Processor seconds of a command that reads a file and writes to /dev/null."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with Path(os.devnull if given is None else given).open("rb") as source, Path(os.devnull).open("wb") as out:
        subprocess.run([*COMMAND, *arguments], stdin=source, stdout=out, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def in_batches(values: Iterator[Any]) -> None:
    """Use values as the command does: some at a time."""
    while [value for _, value in zip(range(256), values, strict=False)]:
        pass


def rates(codec: RecordCodec, name: str, data: Path, lines: Path, records: int) -> list[str]:
    copybook = str(HERE / "copybooks" / f"{name}.cpy")
    raw = data.read_bytes()[: 20_000 * 200]
    values = [loads_raw(line) for line in lines.read_bytes().splitlines()[:20_000]]
    gc.freeze()
    start = min(command_cpu(["encode", copybook], None) for _ in range(3))
    decode = min(cpu_of(lambda: in_batches(codec.read(io.BytesIO(raw)))) for _ in range(5)) / len(values)
    encode = min(cpu_of(lambda: in_batches(codec.write(values))) for _ in range(5)) / len(values)
    decoded = (min(command_cpu(["decode", copybook, str(data)], None) for _ in range(3)) - start) / records
    encoded = (min(command_cpu(["encode", copybook], lines) for _ in range(3)) - start) / records
    table = (
        ("codec: bytes to Python", decode),
        ("codec: Python to bytes", encode),
        ("copybook decode, file to JSON lines", decoded),
        ("copybook encode, JSON lines to records", encoded),
    )
    return [f"{name:9} {what:42} {1 / seconds:9,.0f}  {seconds * 1e6:5.1f}" for what, seconds in table]


def memory(octets: int, data: Path, folder: Path) -> list[str]:
    copybook = str(HERE / "copybooks" / "account.cpy")
    part = data.read_bytes()
    part = part[: len(part) // 200 * 200]
    lines = []
    for size in (1_000_000, octets):
        file = folder / "large.bin"
        with file.open("wb") as out:
            left = size // 200 * 200
            while left:
                left -= out.write(part[:left])
        script = f"import resource,subprocess,sys; subprocess.run({[*COMMAND, 'decode', copybook, str(file)]!r}, stdout=open('/dev/null','wb'), check=True); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        began = time.monotonic()
        peak = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True).stdout
        seconds = time.monotonic() - began
        lines.append(f"copybook decode, {size / 1e6:7,.0f} MB   peak {int(peak) / 1024:5.1f} MiB   {seconds:6.1f} s")
        file.unlink()
    return lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--octets", type=int, default=1_000_000_000)
    parser.add_argument("--peer-python")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = ["copybook  what                                       records/s     µs"]
        for book in ("account", "plain"):
            codec, data, lines = make(folder, book, arguments.records)
            report += rates(codec, book, data, lines, arguments.records)
        if arguments.peer_python:
            for package, script in PEERS.items():
                places = (str(HERE / "copybooks" / "plain.cpy"), str(folder / "plain.bin"))
                peer = [arguments.peer_python, "-c", script, *places]
                said = subprocess.run(peer, stdout=subprocess.PIPE, text=True, check=True).stdout
                rate = float(said.split()[-1])  # behind whatever the package itself prints
                report.append(f"{'plain':9} {f'{package}, file to JSON lines':42} {rate:9,.0f}  {1e6 / rate:5.1f}")
        report += ["", *memory(arguments.octets, folder / "account.bin", folder)]
    table = "\n".join(report)
    print(table)
    if arguments.record:
        record("fixed_width.txt", table)


if __name__ == "__main__":
    main()
