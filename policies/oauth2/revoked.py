"""What operators revoked of one issuer's tokens. Outlives snapshots; knows no signatures and no HTTP.

A remembered token is forgotten when it is revoked, so that looking at one costs nothing more; verified anew, it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakSet

from gateway.api.orders import Revoke
from policies.oauth2.core import Claims
from policies.oauth2.remembered import Remembered

CAPACITY = 10_000  # orders an issuer; those nearest to their end go first


class Revoked:
    """Implements gateway.api.orders.Ordered for `Revoke`."""

    def __init__(self, issuer: str, standing: Iterable[Revoke] = ()) -> None:
        """`standing` is what was revoked before."""
        self._issuer = issuer
        self._jtis: dict[str, float] = {}  # jti -> Unix seconds until which it counts
        self._subjects: dict[str, tuple[float, float]] = {}  # subject -> (revoked at, until)
        self._remembered: WeakSet[Remembered] = WeakSet()
        for order in standing:
            self.carry_out(order)

    def watch(self, remembered: Remembered) -> None:
        """Revoked tokens shall be forgotten there."""
        self._remembered.add(remembered)

    def carry_out(self, order: object) -> int | None:
        """How many remembered tokens were forgotten; None when the order is not for this issuer's tokens."""
        if not isinstance(order, Revoke) or order.issuer != self._issuer:
            return None
        if len(self._jtis) >= CAPACITY or len(self._subjects) >= CAPACITY:
            self._make_room(order.at)
        if order.jti is not None:
            self._jtis[order.jti] = max(order.until, self._jtis.get(order.jti, 0.0))
        if order.subject is not None:
            at, until = self._subjects.get(order.subject, (0.0, 0.0))
            self._subjects[order.subject] = max(order.at, at), max(order.until, until)
        return sum(table.forget(order) for table in self._remembered)

    def covers(self, claims: Claims, now: float) -> bool:
        """Whether a token was revoked: by its jti, or because its subject's tokens of that time all were."""
        if self._jtis:
            jti = claims.get("jti")
            if isinstance(jti, str) and now < self._jtis.get(jti, 0.0):
                return True
        if self._subjects:
            subject = claims.get("sub")
            at, until = self._subjects.get(subject, (0.0, 0.0)) if isinstance(subject, str) else (0.0, 0.0)
            # a token that does not say when it was issued may be of any time; iat is a date, that was checked
            return now < until and claims.get("iat", at) <= at
        return False

    def _make_room(self, now: float) -> None:
        self._jtis = {jti: until for jti, until in self._jtis.items() if now < until}
        self._subjects = {subject: entry for subject, entry in self._subjects.items() if now < entry[1]}
        if len(self._jtis) >= CAPACITY:
            del self._jtis[min(self._jtis, key=lambda jti: self._jtis[jti])]
        if len(self._subjects) >= CAPACITY:
            del self._subjects[min(self._subjects, key=lambda subject: self._subjects[subject][1])]
