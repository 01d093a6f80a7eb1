"""An independent SOAP server for test_server.py, run by an interpreter that has spyne. Prints its port."""

from __future__ import annotations

import decimal
import logging
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

from spyne import (  # type: ignore[import-not-found]  # lives in an interpreter of its own
    Application,
    Array,
    ComplexModel,
    Decimal,
    Fault,
    Integer,
    ServiceBase,
    Unicode,
    rpc,
)
from spyne.protocol.soap import Soap11, Soap12  # type: ignore[import-not-found]
from spyne.server.wsgi import WsgiApplication  # type: ignore[import-not-found]

TNS = "urn:example:shop"


class Line(ComplexModel):  # type: ignore[misc]
    __namespace__ = TNS
    Sku = Unicode
    Quantity = Integer
    Price = Decimal


class Ticket(ComplexModel):  # type: ignore[misc]
    __namespace__ = TNS
    Id = Unicode


class Shop(ServiceBase):  # type: ignore[misc]
    __in_header__ = Ticket
    __out_header__ = Ticket

    @rpc(Unicode, _returns=Unicode)
    def Echo(ctx, text):
        ctx.out_header = ctx.in_header
        return text

    @rpc(Array(Line), _returns=Decimal)
    def Total(ctx, lines):
        return sum((line.Quantity * line.Price for line in lines or ()), decimal.Decimal(0))

    @rpc(Integer, _returns=Array(Line))
    def Lines(ctx, count):
        if count > 100:
            raise Fault("Client.TooMany", "no more than 100")
        return [Line(Sku=f"S{number} <&>", Quantity=number, Price=decimal.Decimal("0.10")) for number in range(count)]


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    logging.disable(logging.CRITICAL)
    protocol = Soap12 if sys.argv[1] == "1.2" else Soap11
    application = Application([Shop], TNS, in_protocol=protocol(validator="lxml"), out_protocol=protocol())
    server = make_server("127.0.0.1", 0, WsgiApplication(application), handler_class=Quiet)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
