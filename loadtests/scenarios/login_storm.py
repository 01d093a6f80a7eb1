"""Every call comes with a token that nobody has seen: what a morning's first minutes ask of a gateway."""

from __future__ import annotations

from loadtests.load.known import FIRST_ORDER, same
from loadtests.scenarios.base import Scenario


class LoginStorm(Scenario):
    def arrive(self, due: float) -> None:
        try:
            token = self.generator.fresh_token()
        except StopIteration:
            self.generator.recorder.note("not made", 0.0, "none", failed="every token of this run has been used")
            return
        self.call(
            "first call", "GET", "/orders/1001", None, due,
            fields={"Authorization": f"Bearer {token}"}, check=same(FIRST_ORDER, "order"),
        )  # fmt: skip
