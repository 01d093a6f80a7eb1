"""JSON in front of a SOAP service and of a mainframe's records, faults included, beside plain calls."""

from __future__ import annotations

from gateway.demo.mainframe import CUSTOMERS
from gateway.demo.stock import ITEMS
from loadtests.load.known import FIRST_ORDER, NO_CUSTOMER, NO_ITEM, customer_of, same, stock_of
from loadtests.scenarios.base import Scenario

SOAP, RECORDS, UNKNOWN = 0.4, 0.4, 0.1  # of all calls; of those, what is not there


class LegacyMix(Scenario):
    def arrive(self, due: float) -> None:
        dice = self.generator.dice
        caller = dice.choice(self.generator.partners)
        chosen, unknown = dice.random(), dice.random() < UNKNOWN
        if chosen < SOAP:
            item = NO_ITEM if unknown else dice.choice(list(ITEMS))
            self.call(
                "soap", "GET", f"/stock/{item}", caller, due,
                statuses=(404,) if unknown else (200,), check=None if unknown else stock_of(item),
            )  # fmt: skip
        elif chosen < SOAP + RECORDS:
            number = NO_CUSTOMER if unknown else str(int(dice.choice(list(CUSTOMERS))))
            self.call(
                "records", "GET", f"/customers/{number}", caller, due,
                statuses=(404,) if unknown else (200,), check=None if unknown else customer_of(number),
            )  # fmt: skip
        else:
            self.call("read order", "GET", "/orders/1001", caller, due, check=same(FIRST_ORDER, "order"))
