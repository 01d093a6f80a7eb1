"""The adapter's face to the gateway: JSON bodies to records, records to answers, and whose fault it is."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from adapters import fixed_width
from adapters.fixed_width import ADAPTER
from adapters.fixed_width.adapter import FixedWidthCodec
from adapters.fixed_width.codec.jsontext import loads_raw
from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.config import FixedWidthConfig
from adapters.fixed_width.copybook import parse_copybook
from adapters.fixed_width.errors import RecordError
from adapters.fixed_width.options import Options, parse_record_format
from gateway.api.adapter import AdapterScope, Reply
from gateway.api.errors import BadReply, RequestRefused, Unmappable
from gateway.api.messages import Headers
from gateway.testing.exchange import BytesBody, make_exchange

COPYBOOKS = Path(__file__).with_name("copybooks")
SELECT = {"CUSTOMER-TYPE": {"P": "PERSON", "C": "COMPANY"}}
PERSON = "00" + "00000042" + "P" + "Ada".ljust(10) + "Lovelace".ljust(15)


def read_file(path: str) -> bytes:
    return (COPYBOOKS / Path(path).name).read_bytes()


SCOPE = AdapterScope("customers", "mainframe", read_file)


def config(
    request: dict[str, Any] | None = None, response: dict[str, Any] | None = None, **top: Any
) -> FixedWidthConfig:
    sides = {
        "request": {"copybook": "inquiry.cpy"} | (request or {}),
        "response": {"copybook": "customer.cpy", "select": SELECT} | (response or {}),
    }
    return FixedWidthConfig.model_validate(sides | top)


def codec(request: dict[str, Any] | None = None, response: dict[str, Any] | None = None, **top: Any) -> FixedWidthCodec:
    built = ADAPTER.build(config(request, response, **top), SCOPE)
    assert isinstance(built, FixedWidthCodec)
    return built


def customer(**changes: Any) -> bytes:
    text = changes.get("text", PERSON).encode("cp037")
    orders = changes.get("orders", ())
    packed = bytes.fromhex("00000100050c")
    return (text + packed + f"{len(orders):02}".encode("cp037") + "".join(orders).encode("cp037")).ljust(98, b"\x40")


def reply(body: bytes, status: int = 200) -> Reply:
    return Reply(status, Headers(), body)


def test_the_example_decodes() -> None:
    block = yaml.safe_load(Path(fixed_width.__file__).with_name("example.yaml").read_text())
    made = FixedWidthConfig.model_validate(block["fixed_width"])
    assert (made.safe, made.request.codepage, made.response.errors["RETURN-CODE"]["4"]) == (True, "cp1047", 404)
    assert list(ADAPTER.check(made, SCOPE)) == []
    assert ADAPTER.safe(made)


def test_values_fill_the_request() -> None:
    made = codec({"values": {"CUSTOMER-ID": "{path.id}", "CHANNEL": "WEB"}})
    encoded = made.encode(make_exchange(params={"id": "42"}), b"")
    assert (encoded.method, encoded.content_type) == ("POST", b"application/octet-stream")
    assert encoded.body.decode("cp037") == "INQ100000042WEB     "


def test_a_body_fills_the_request_by_name() -> None:
    exchange = make_exchange("POST", headers=[("Content-Type", "application/json")])
    encoded = codec().encode(exchange, b'{"customer_id": 7, "channel": "APP"}')
    assert encoded.body.decode("cp037") == "INQ100000007APP     "


def test_parameters_fill_a_request_without_a_body() -> None:
    encoded = codec().encode(make_exchange(target="/customers/9?channel=TEL", params={"customer_id": "9"}), b"")
    assert encoded.body.decode("cp037") == "INQ100000009TEL     "


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        (
            {"customer_id": 123456789, "channel": "A"},
            "/customer_id",
            "INQUIRY.CUSTOMER-ID at offset 4: the number has more than 8 digits before the decimal point",
        ),
        (
            {"customer_id": -1, "channel": "A"},
            "/customer_id",
            "INQUIRY.CUSTOMER-ID at offset 4: a negative number, and the field has no sign",
        ),
        (
            {"customer_id": "x", "channel": "A"},
            "/customer_id",
            "INQUIRY.CUSTOMER-ID at offset 4: a number is expected, not this text",
        ),
        (
            {"customer_id": True, "channel": "A"},
            "/customer_id",
            "INQUIRY.CUSTOMER-ID at offset 4: a number is expected, not a boolean",
        ),
        (
            {"customer_id": 1, "channel": "ABCD"},
            "/channel",
            "INQUIRY.CHANNEL at offset 12: the text has more than 3 characters",
        ),
        (
            {"customer_id": 1, "channel": "漢"},
            "/channel",
            "INQUIRY.CHANNEL at offset 12: a character that the code page does not have",
        ),
        (
            {"customer_id": 1, "channel": 5},
            "/channel",
            "INQUIRY.CHANNEL at offset 12: a string is expected, not a number",
        ),
        ({"customer_id": 1}, "/channel", "INQUIRY.CHANNEL at offset 12: missing"),
        ({"customer_id": 1, "channel": "A", "chanel": "B"}, "/chanel", "INQUIRY at offset 0: unknown member"),
        ({"customer_id": 1, "channel": "A", "<b>": "B"}, "", "INQUIRY at offset 0: unknown member"),
        ([], "", "INQUIRY at offset 0: an object is expected, not an array"),
    ],
)
def test_what_does_not_fit_is_the_callers_fault(body: object, pointer: str, detail: str) -> None:
    with pytest.raises(Unmappable) as caught:
        codec().encode(make_exchange("POST"), json.dumps(body).encode())
    assert (caught.value.pointer, caught.value.detail) == (pointer, detail)


@pytest.mark.parametrize("body", [b"", b"{", b'{"a": 1, "a": 2}', b'{"a": NaN}', b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(RequestRefused) as caught:
        codec().encode(make_exchange("POST"), body)
    assert (caught.value.status, caught.value.code) == (400, "fixed_width.bad-json")


@pytest.mark.parametrize("number", [b"1e999999", b"1e999999999999999999999"])
def test_huge_numbers_cost_nothing(number: bytes) -> None:
    with pytest.raises(Unmappable, match="does not fit"):
        codec().encode(make_exchange("POST"), b'{"customer_id": %b, "channel": "A"}' % number)


@pytest.mark.parametrize("number", ["12.50", "-0.05", "1.25e1", "125E-1", "0.1e2", "12.5", "12.500", "-1.00e-1"])
def test_numbers_as_written_are_the_numbers_they_are(number: str) -> None:
    """A number with places goes to its field as JSON has it written; any form gives the same octets."""
    made = RecordCodec(parse_copybook("01 R.\n 05 A PIC S9(5)V99 COMP-3.", form="free"), Options())
    assert made.encode(loads_raw(b'{"a": %b}' % number.encode())) == made.encode({"a": Decimal(number)})


@pytest.mark.parametrize("number", ["12.505", "1.2345e1", "1e-3", "123456.00", "1.00e6"])
def test_numbers_as_written_that_do_not_fit(number: str) -> None:
    made = RecordCodec(parse_copybook("01 R.\n 05 A PIC S9(5)V99 COMP-3.", form="free"), Options())
    with pytest.raises(RecordError) as exact:
        made.encode({"a": Decimal(number)})
    with pytest.raises(RecordError) as written:
        made.encode(loads_raw(b'{"a": %b}' % number.encode()))
    assert (written.value.reason, written.value.field) == (exact.value.reason, exact.value.field)


def test_another_media_type_is_refused() -> None:
    with pytest.raises(RequestRefused) as caught:
        codec().encode(make_exchange("POST", headers=[("Content-Type", "text/xml")]), b"<a/>")
    assert caught.value.status == 415


def test_blame_for_values_points_into_the_body() -> None:
    made = codec({"values": {"CUSTOMER-ID": "{body./customer/id}", "CHANNEL": "{header.X-Channel}"}})
    with pytest.raises(Unmappable) as caught:
        made.encode(make_exchange("POST"), b'{"customer": {"id": "none"}}')
    assert (caught.value.pointer, caught.value.detail) == ("/customer/id", "a number is expected, not this text")
    with pytest.raises(Unmappable) as caught:
        made.encode(make_exchange("POST", headers=[("X-Channel", "LONG")]), b'{"customer": {"id": 1}}')
    assert (caught.value.pointer, caught.value.detail) == (
        "",
        "CHANNEL, from {header.X-Channel}: the text has more than 3 characters",
    )


def test_a_record_becomes_the_answer() -> None:
    answer = codec().decode(make_exchange(), reply(customer(orders=("000001", "000002"))))
    assert (answer.status, answer.headers.get(b"content-type")) == (200, b"application/json")
    assert isinstance(answer.body, bytes)
    assert answer.body == (
        b'{"return_code":0,"customer_id":42,"customer_type":"P","person":{"first_name":"Ada","last_name":"Lovelace"},'
        b'"credit_limit":1000.50,"order_count":2,"order_id":[1,2]}'
    )


def test_return_codes_are_problems() -> None:
    made = codec(response={"errors": {"RETURN-CODE": {4: 404, "12": 502}}})
    exchange = make_exchange()
    answer = made.decode(exchange, reply(b"\xf0\xf4" + b"\x00" * 96))
    assert answer.status == 404
    assert isinstance(answer.body, bytes)
    document = json.loads(answer.body)
    assert (document["code"], document["detail"], document["fault"]) == (
        "fixed_width.return-code", "The upstream answered with RETURN-CODE 4; see what it means in this API's description.", {"field": "RETURN-CODE", "value": "4"},
    )  # fmt: skip
    assert made.decode(make_exchange(), reply(customer())).status == 200


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        (b"", 200, "the record at offset 0"),
        (customer()[:50], 200, "the record at offset 50"),
        (customer() + b"\x40", 200, "the record at offset 1"),
        (customer(text=PERSON.replace("P", "X")), 200, "CUSTOMER.CUSTOMER-TYPE at offset 10"),
        (customer(text="0a" + PERSON[2:]), 200, "CUSTOMER.RETURN-CODE at offset 0"),
        (customer(orders=["00000x"]), 200, "CUSTOMER.ORDER-ID(1) at offset 44"),
        (customer(), 500, ""),
    ],
)
def test_what_is_no_record_is_the_upstreams_fault(body: bytes, status: int, where: str) -> None:
    with pytest.raises(BadReply) as caught:
        codec().decode(make_exchange(), reply(body, status))
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"request": {"copybook": "nope.cpy"}}, ("request", "copybook"), "cannot be read"),
        ({"request": {"values": {"CUSTOMER": "x"}}}, ("request", "values", "CUSTOMER"), "no such field"),
        ({"request": {"values": {"CUSTOMER-ID": "{pth.id}"}}}, ("request", "values", "CUSTOMER-ID"), "no placeholder"),
        ({"request": {"codepage": "cp99999"}}, ("request", "codepage"), "unknown code page"),
        ({"request": {"record": "OTHER"}}, ("request", "record"), "there are INQUIRY"),
        ({"response": {"select": {"TYPE": {"P": "PERSON"}}}}, ("response", "select"), "no such item"),
        (
            {"response": {"select": {"CUSTOMER-TYPE": {"P": "PERSONS"}}}},
            ("response", "select"),
            "no alternative named PERSONS",
        ),
        (
            {"response": {"errors": {"RETURN-CODES": {"1": 404}}}},
            ("response", "errors", "RETURN-CODES"),
            "no such item",
        ),
        ({"response": {"errors": {"RETURN-CODE": {"abc": 404}}}}, ("response", "errors", "RETURN-CODE"), "no value of"),
        ({"correlation": {"request": "A", "response": "B"}}, ("correlation",), "no such item"),
        ({"correlation": {"request": "CHANNEL", "response": "CUSTOMER-ID"}}, ("correlation",), "one picture"),
        (
            {"bulk": True, "correlation": {"request": "CUSTOMER-ID", "response": "CUSTOMER-ID"}},
            ("correlation",),
            "bulk takes many",
        ),
        ({"bulk": True, "request": {"values": {"CHANNEL": "A"}}}, ("request", "values"), "bulk"),
    ],
)
def test_configurations_that_make_no_sense(changes: dict[str, Any], path: tuple[str, ...], message: str) -> None:
    found = list(ADAPTER.check(config(**changes), SCOPE))
    assert [complaint.path for complaint in found] == [path]
    assert message in found[0].message


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"record_format": "rwd"}, "one of fixed, rdw"),
        ({"record_format": 4}, "a record format is text"),
        ({"record_format": "rdw:little:big"}, "rdw takes big or little"),
        ({"select": {"CUSTOMER-TYPE": "PERSON"}}, "written as FIELD"),
        ({"select": ["CUSTOMER-TYPE"]}, "written as FIELD"),
        ({"layout": "x.yaml"}, "either a copybook or a layout"),
    ],
)
def test_blocks_that_make_no_sense(block: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(block)


@pytest.mark.parametrize("text", ["fixed", "rdw:little:exclusive", "bdw", "length:A-B", "delimiter:\\n", "odo"])
def test_a_record_format_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_record_format(text)) == text


def test_a_side_names_one_layout() -> None:
    with pytest.raises(ValidationError, match="either a copybook or a layout"):
        config({"layout": "x.yaml"})


def test_every_file_is_watched(tmp_path: Path) -> None:
    (tmp_path / "a.cpy").write_text("       01  R.\n           COPY FIELDS.\n")
    (tmp_path / "fields.cpy").write_text("           05 A PIC X.\n")
    made = FixedWidthConfig.model_validate(
        {side: {"copybook": str(tmp_path / "a.cpy")} for side in ("request", "response")}
    )
    assert set(ADAPTER.files(made)) == {str(tmp_path / "a.cpy"), str(tmp_path / "fields.cpy")}
    known = {path: Path(path).read_bytes() for path in ADAPTER.files(made)}

    def stored(path: str) -> bytes:
        if path not in known:
            raise FileNotFoundError(path)
        return known[path]

    built = ADAPTER.build(made, AdapterScope("r", "u", stored))
    assert isinstance(built, FixedWidthCodec)
    assert built.encode(make_exchange("POST", body=BytesBody()), b'{"a": "x"}').body == b"\xa7"


def test_a_correlation_field_is_filled_in_or_kept() -> None:
    both = {"request": "CUSTOMER-ID", "response": "CUSTOMER-ID"}
    made = codec({"missing": "initial"}, correlation=both)
    exchange = make_exchange("POST", "/", [("content-type", "application/json")])
    records = [made.encode(exchange, b'{"channel": "WEB"}') for _ in range(3)]
    keys = [record.correlation.key for record in records if record.correlation is not None]
    assert len(set(keys)) == 3
    for record, key in zip(records, keys, strict=True):
        assert record.body[4:12] == key
    given = made.encode(exchange, b'{"channel": "WEB", "customer_id": 42}').correlation
    assert given is not None
    assert (given.key, given.offset) == ("00000042".encode("cp037"), 2)
