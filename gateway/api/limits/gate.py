"""Limits of one slot that decide together: all must pass, and a call that one refuses takes nothing from the others."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from gateway.api.exchange import Exchange
from gateway.api.limits.fields import POLICY_FIELD, RATELIMIT, announce
from gateway.api.limits.limit import Charge, Limit
from gateway.api.limits.operations import Amount, Take, Taken
from gateway.api.limits.pots import Pot
from gateway.api.messages import Response
from gateway.api.policy import PENDING, AskingGate, Gate
from gateway.api.problem import RETRY_SOON, problem, retry_after


class Counting(Gate):
    """A gate that counts. Those of one slot are merged, of whichever policies they are."""

    limits: tuple[Limit, ...]

    def alike(self, gates: Sequence[Counting]) -> Gate | None:
        """A gate for several that is quicker than the general one, where there is one."""
        return None


def merge(gates: Sequence[Gate]) -> Gate:
    """One gate for several."""
    counting = [gate for gate in gates if isinstance(gate, Counting)]
    assert len(counting) == len(gates), "merge is given what build returned"
    return counting[0].alike(counting) or LimitsGate([limit for gate in counting for limit in gate.limits])


class _Part:
    """What one pot is asked for."""

    __slots__ = ("amounts", "charges", "limits", "places", "pot", "taken")

    def __init__(self, pot: Pot, charges: Sequence[tuple[Limit, Charge]]) -> None:
        self.pot = pot
        self.limits = [limit for limit, _ in charges]
        self.charges = [charge for _, charge in charges]
        self.amounts: list[Amount] = [charge.amount for charge in self.charges]
        self.places: list[int] | None = None  # where each charge stands among the amounts
        self.taken: Taken | None = None
        if len(charges) > 1 and len({one.key for one in self.amounts}) < len(charges):
            self._pay_once()

    def _pay_once(self) -> None:
        """Two limits that share a bucket (a tier's) charge it once, with the higher cost."""
        dearest: dict[str, Amount] = {}
        for one in self.amounts:
            if one.key not in dearest or one.cost > dearest[one.key].cost:
                dearest[one.key] = one
        order = list(dearest)
        self.places = [order.index(one.key) for one in self.amounts]
        self.amounts = list(dearest.values())

    def standings(self) -> Sequence[float]:
        assert self.taken is not None, "asked for when it was taken"
        return self._of_charges(self.taken.standing)

    def before(self) -> Sequence[float]:
        """The standings without this call, once it was given back or was never taken."""
        assert self.taken is not None, "asked for when it was taken"
        counts_it = self.taken.all
        return self._of_charges(
            [
                standing - (one.cost if counts_it or one.kind == b"rate" else 0)
                for one, standing in zip(self.amounts, self.taken.standing, strict=True)
            ]
        )

    def _of_charges(self, found: Sequence[float]) -> Sequence[float]:
        return found if self.places is None else [found[place] for place in self.places]


class LimitsGate(Counting, AskingGate):
    """Any limits, in whichever pots. Those in memory are taken first: they are given back without waiting."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self.limits = tuple(limits)
        self._silent = limits[0].silent
        pots: list[Pot] = []
        for limit in limits:
            if limit.pot not in pots:
                pots.append(limit.pot)
        self._pots = [
            (pot, [limit for limit in limits if limit.pot is pot]) for pot in sorted(pots, key=lambda one: one.asks)
        ]
        self._waits = any(pot.waits for pot in pots)
        self._one = limits[0] if len(limits) == 1 else None

    def check(self, exchange: Exchange) -> Response | None:
        if self._waits:
            return PENDING
        parts = self._parts(exchange)
        for number, part in enumerate(parts):
            part.taken = part.pot.take_nowait(part.amounts)
            if part.taken is None:
                _give_back(parts[:number])
                return PENDING
            if not part.taken.all:
                return self._refuse(exchange, parts, number)
        self._pass(exchange, parts)
        return None

    def wait(self, exchange: Exchange) -> Coroutine[Any, Any, Response | None]:
        return self._wait_for_all(exchange) if self._one is None else self._wait_for(self._one, exchange)

    async def _wait_for_all(self, exchange: Exchange) -> Response | None:
        parts = self._parts(exchange)
        for number, part in enumerate(parts):
            try:
                part.taken = await part.pot.take(Take(part.amounts))
            except BaseException:
                _give_back(parts[:number])
                raise
            if not part.taken.all:
                return self._refuse(exchange, parts, number)
        self._pass(exchange, parts)
        return None

    async def _wait_for(self, limit: Limit, exchange: Exchange) -> Response | None:
        """`wait` with one limit, the usual case, written out: about 3 µs less."""
        charge = limit.charge(exchange)
        if charge is None:
            limit.allowed.value += 1
            return None
        pot = limit.pot
        taken = await pot.take(charge.take)
        if not taken.all:
            part = _Part(pot, ((limit, charge),))
            part.taken = taken
            return self._refuse(exchange, (part,), 0)
        limit.allowed.value += 1
        standing = taken.standing[0]
        if limit.after is not None:
            limit.after(exchange, charge, standing)
        if not self._silent:
            exchange.response_headers += ((POLICY_FIELD, charge.policy_item), (RATELIMIT, charge.item(standing)))
        return None

    def _parts(self, exchange: Exchange) -> list[_Part]:
        parts = []
        for pot, limits in self._pots:
            charges = []
            for limit in limits:
                charge = limit.charge(exchange)
                if charge is None:
                    limit.allowed.value += 1
                else:
                    charges.append((limit, charge))
            if charges:
                parts.append(_Part(pot, charges))
        return parts

    def _pass(self, exchange: Exchange, parts: Sequence[_Part]) -> None:
        items = []
        for part in parts:
            for limit, charge, standing in zip(part.limits, part.charges, part.standings(), strict=True):
                limit.allowed.value += 1
                if limit.after is not None:
                    limit.after(exchange, charge, standing)
                if not self._silent:
                    items.append((charge.policy_item, charge.item(standing)))
        if items:
            announce(exchange, items)

    def _refuse(self, exchange: Exchange, parts: Sequence[_Part], number: int) -> Response:
        """429. Nothing is taken, so each limit is told as it stood before the call."""
        _give_back(parts[:number])
        taken = parts[number].taken
        assert taken is not None, "it refused"
        if taken.denied:
            return self._deny(exchange, parts[number])
        wait_s, slowest = 0, parts[number].limits[0]
        items = []
        for part in parts[: number + 1]:
            for limit, charge, standing, before in zip(
                part.limits, part.charges, part.standings(), part.before(), strict=True
            ):
                if not self._silent:
                    items.append((charge.policy_item, charge.item(before)))
                longest_s = charge.wait_s(standing) if part is parts[number] else 0
                if not longest_s:
                    limit.allowed.value += 1
                    continue
                limit.refused.value += 1
                if longest_s > wait_s:  # the longest is the true one: what passes now passes then as well
                    wait_s, slowest = longest_s, limit
        if items:
            announce(exchange, items)
        return refusal(exchange, slowest.policy, slowest.label, wait_s)

    def _deny(self, exchange: Exchange, part: _Part) -> Response:
        denying = next(
            limit for limit, charge in zip(part.limits, part.charges, strict=True) if charge.amount.away == "deny"
        )
        for limit in part.limits:
            limit.refused.value += 1
        return problem(
            exchange,
            503,
            f"{denying.policy}.store-unavailable",
            f"The limit '{denying.label}' cannot be counted at the moment; try again.",
            RETRY_SOON,
        )


def refusal(exchange: Exchange, policy: str, label: str, wait_s: int) -> Response:
    return problem(
        exchange,
        429,
        f"{policy}.exceeded",
        f"The limit '{label}' is used up; try again in {wait_s} s.",
        (retry_after(wait_s),),
    )


def _give_back(parts: Sequence[_Part]) -> None:
    for part in parts:
        part.pot.give_back(part.amounts)
