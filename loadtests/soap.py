"""What SOAP costs: a call with 20 elements each way, an answer of 1 MB, other requests beside it, a WSDL of 5 MB.

    python loadtests/soap.py [--seconds 4] [--rounds 3] [--record]

`sluicegate serve` with one worker in front of a server that answers with prepared envelopes. The same envelopes, and as many octets, pass
through a plain route for comparison; cost is processor time of the whole process tree. Waits are those of small requests to the plain route, one
every 10 ms, alone and while one answer of 5,000 rows follows the other, and while a route with the WSDL of 5 MB (2,000 types, 500 operations) is
loaded. --record writes loadtests/results/soap.txt. Takes a minute and a half.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from machine import record
from processes import cpu_and_rss
from stream import wait_port

PORT, OPS_PORT = 18_781, 18_782
ROWS = 5000
S = "http://schemas.xmlsoap.org/soap/envelope/"
NAMES = [f"Field{number:02}" for number in range(20)]
KINDS = ["xs:string", "xs:int", "xs:decimal", "xs:date", "xs:boolean"]
VALUES: list[object] = ["Some text & more", 4711, "1234.50", "2031-01-31", True]
Send = Callable[[], Awaitable[object]]


def texts() -> dict[str, object]:
    return {name: VALUES[number % 5] for number, name in enumerate(NAMES)}


def markup() -> str:
    out = ""
    for name, value in texts().items():
        text = str(value).lower() if isinstance(value, bool) else str(value).replace("&", "&amp;")
        out += f"<{name}>{text}</{name}>"
    return out


def wsdl() -> str:
    """Two operations: one of 20 elements each way, one that answers rows."""
    fields = "".join(f'<xs:element name="{name}" type="{KINDS[n % 5]}"/>' for n, name in enumerate(NAMES))
    row = "".join(f'<xs:element name="{name}" type="{KINDS[n % 5]}"/>' for n, name in enumerate(NAMES[:6]))
    elements = {
        "Book": fields,
        "BookResponse": fields,
        "List": '<xs:element name="n" type="xs:int"/>',
        "ListResponse": f'<xs:element name="Row" maxOccurs="unbounded"><xs:complexType><xs:sequence>{row}</xs:sequence></xs:complexType></xs:element>',
    }
    return _wsdl("".join(_element(name, inner) for name, inner in elements.items()), ["Book", "List"])


def large_wsdl(types: int = 2000, operations: int = 500) -> str:
    """As a large CRM's: every type with 20 fields, documented, and references to others."""
    words = "What this means to those who keep the accounts, and to those who do not. "
    schema = ""
    for number in range(types):
        fields = "".join(
            f'<xs:element name="F{field}" type="{KINDS[field % 5]}" minOccurs="0" nillable="true"/>'
            for field in range(18)
        )
        other, next_one = (number * 7 + 1) % types, (number + 1) % types
        schema += (
            f'<xs:complexType name="T{number}"><xs:annotation><xs:documentation>{words * 11}</xs:documentation></xs:annotation><xs:sequence>{fields}'
            f'<xs:element name="One" type="t:T{other}" minOccurs="0"/><xs:element name="Many" type="t:T{next_one}" minOccurs="0" maxOccurs="unbounded"/>'
            f"</xs:sequence></xs:complexType>"
        )
    names = [f"Operation{number}" for number in range(operations)]
    for number, name in enumerate(names):
        inner = f'<xs:element name="in" type="t:T{number}"/>'
        schema += _element(name, inner) + _element(f"{name}Response", inner)
    return _wsdl(schema, names)


def _element(name: str, inner: str) -> str:
    return f'<xs:element name="{name}"><xs:complexType><xs:sequence>{inner}</xs:sequence></xs:complexType></xs:element>'


def _wsdl(schema: str, operations: list[str]) -> str:
    messages = "".join(
        f'<message name="{name}"><part name="p" element="t:{name}"/></message>'
        for operation in operations
        for name in (operation, f"{operation}Response")
    )
    abstract = "".join(
        f'<operation name="{name}"><input message="t:{name}"/><output message="t:{name}Response"/></operation>'
        for name in operations
    )
    bound = "".join(
        f'<operation name="{name}"><s:operation soapAction="{name}"/><input><s:body use="literal"/></input><output><s:body use="literal"/></output></operation>'
        for name in operations
    )
    return (
        '<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:t="urn:t" '
        'xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:t"><types>'
        f'<xs:schema targetNamespace="urn:t" elementFormDefault="qualified">{schema}</xs:schema></types>{messages}'
        f'<portType name="P">{abstract}</portType><binding name="B" type="t:P">'
        f'<s:binding transport="http://schemas.xmlsoap.org/soap/http"/>{bound}</binding>'
        '<service name="S"><port name="P" binding="t:B"><s:address location="http://x/soap"/></port></service></definitions>'
    )


def envelope(content: str) -> bytes:
    return f'<?xml version="1.0"?><s:Envelope xmlns:s="{S}"><s:Body>{content}</s:Body></s:Envelope>'.encode()


BOOK = envelope(f'<Book xmlns="urn:t">{markup()}</Book>')
ANSWERS = {
    b"<n0:Book ": envelope(f'<BookResponse xmlns="urn:t">{markup()}</BookResponse>'),
    b"<Book ": envelope(f'<BookResponse xmlns="urn:t">{markup()}</BookResponse>'),
}
_ROW = "".join(re.findall(r"<Field0[0-5]>.*?</Field0[0-5]>", markup()))
LISTED = envelope(f'<ListResponse xmlns="urn:t">{f"<Row>{_ROW}</Row>" * ROWS}</ListResponse>')


async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"(?i)content-length: (\d+)", head)
            body = await reader.readexactly(int(found[1])) if found else b""
            answer = LISTED if b"List" in body or b"/list" in head else ANSWERS[b"<Book "]
            if b"/small" in head:
                answer = b"{}"
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        writer.close()


class Caller:
    """One kept connection."""

    async def open(self) -> Caller:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", PORT, limit=1 << 24)
        return self

    async def call(self, path: str, body: bytes, kind: str) -> bytes:
        head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"(?i)content-length: (\d+)", answer)
        got = await self.reader.readexactly(int(found[1])) if found else b""
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer + got[:500])
        return got


def configure(folder: Path, upstream: str, *, large: bool = False) -> None:
    def route(name: str, path: str, **more: object) -> dict[str, object]:
        return {"name": name, "match": {"path": path}, "public": True, "upstream": "backend", **more}

    def soap(operation: str, file: str = "bench.wsdl") -> dict[str, object]:
        return {"adapter": {"soap": {"wsdl": file, "operation": operation}}}

    routes = [
        route("mapped", "/mapped", **soap("Book")),
        route("list", "/rows", **soap("List")),
        route("plain", "/**", policies={"request_size": {"max": "1MiB"}}),
    ]
    if large:
        routes += [route(f"large{n}", f"/large{n}", **soap(f"Operation{n}", "large.wsdl")) for n in range(500)]
    document = {
        "version": 1,
        "listen": {"host": "127.0.0.1", "port": PORT},
        "ops": {"port": OPS_PORT},
        "log": {"access": "off", "level": "error"},
        "upstreams": {"backend": {"targets": [upstream]}},
        "routes": routes,
    }
    (folder / "gateway.yaml").write_text(json.dumps(document))


async def per_call(pid: int, path: str, body: bytes, kind: str, seconds: float, connections: int = 16) -> float:
    """Processor seconds of the gateway for each call."""
    callers = await asyncio.gather(*(Caller().open() for _ in range(connections)))
    until = time.monotonic() + seconds
    done = 0

    async def run(caller: Caller) -> None:
        nonlocal done
        while time.monotonic() < until:
            await caller.call(path, body, kind)
            done += 1

    before = cpu_and_rss(pid)[0]
    await asyncio.gather(*map(run, callers))
    for caller in callers:
        caller.writer.close()
    return (cpu_and_rss(pid)[0] - before) / done


async def waits(while_running: Awaitable[object]) -> list[float]:
    """Milliseconds that small requests take, one every 10 ms, sorted."""
    caller = await Caller().open()
    work = asyncio.ensure_future(while_running)
    found: list[float] = []
    due = time.monotonic()
    while not work.done():
        started = time.monotonic()
        await caller.call("/small", b"{}", "application/json")
        found.append(1000 * (time.monotonic() - started))
        due += 0.01
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    await work
    return sorted(found)


async def repeated(seconds: float) -> None:
    caller = await Caller().open()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await caller.call("/rows", b'{"n": 1}', "application/json")


async def reload() -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", OPS_PORT)
    writer.write(b"POST /reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer[:1000])


def shown(found: list[float]) -> str:
    return f"p50 {found[len(found) // 2]:5.1f}  p99 {found[int(len(found) * 0.99)]:5.1f}  most {found[-1]:5.1f} ms  ({len(found)} requests)"


async def run(seconds: float, rounds: int) -> list[str]:
    rows: list[str] = []
    with tempfile.TemporaryDirectory(prefix="sluicegate-") as name:
        folder = Path(name)
        server = await asyncio.start_server(backend, "127.0.0.1", 0, limit=1 << 24)
        upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        (folder / "bench.wsdl").write_text(wsdl())
        (folder / "large.wsdl").write_text(large_wsdl())
        configure(folder, upstream)
        command = [
            str(Path(sys.executable).parent / "sluicegate"),
            "serve",
            "--config",
            name,
            "--state",
            f"{name}-state",
        ]
        process = await asyncio.create_subprocess_exec(*command)
        try:
            await wait_port(PORT)
            book = json.dumps(texts()).encode()
            await per_call(process.pid, "/mapped", book, "application/json", 0.5)
            cost: dict[str, list[float]] = {"passed": [], "mapped": []}
            for _ in range(rounds):
                cost["passed"].append(await per_call(process.pid, "/any", BOOK, "text/xml", seconds))
                cost["mapped"].append(await per_call(process.pid, "/mapped", book, "application/json", seconds))
            passed, mapped = (1e6 * sorted(found)[len(found) // 2] for found in cost.values())
            rows.append("20 elements each way, processor time of a call (median of the rounds; aim: 250 µs more)")
            rows.append(f"  passed through {passed:6.0f} µs   mapped {mapped:6.0f} µs   more {mapped - passed:6.0f} µs")
            through = await per_call(process.pid, "/list", b"<n>1</n>", "text/xml", seconds, 1)
            read = await per_call(process.pid, "/rows", b'{"n": 1}', "application/json", seconds, 1)
            rows.append(f"an answer of {len(LISTED) / 1e6:.1f} MB, {ROWS} rows, processor time of a call (aim: 250 ms)")
            rows.append(f"  passed through {1000 * through:6.1f} ms   mapped {1000 * read:6.1f} ms")
            rows.append("small requests, one every 10 ms (aim: at most 20 ms more beside the long answers)")
            rows.append(f"  alone                     {shown(await waits(asyncio.sleep(2 * seconds)))}")
            rows.append(f"  beside such answers       {shown(await waits(repeated(2 * seconds)))}")
            configure(folder, upstream, large=True)
            started = time.monotonic()
            rows.append(f"  while the large WSDL loads {shown(await waits(reload()))}")
            size = (folder / "large.wsdl").stat().st_size / 1e6
            rows.append(
                f"reload with a WSDL of {size:.1f} MB, 500 routes of it: {time.monotonic() - started:.1f} s (aim: 10 s)"
            )
        finally:
            process.send_signal(signal.SIGINT)
            await process.wait()
            server.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="write loadtests/results/soap.txt")
    options = parser.parse_args()
    table = "\n".join(asyncio.run(run(options.seconds, options.rounds)))
    print(table)
    if options.record:
        record("soap.txt", table)


if __name__ == "__main__":
    main()
