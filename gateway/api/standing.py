"""How a store stands at this moment: whether it answers, and how many processes share it. Read on the request path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakMethod, ref


@dataclass(frozen=True, slots=True)
class Durability:
    """What a store beside the gateway promises of what must last; "" where it does not say."""

    eviction: str  # "noeviction", or what it drops when its memory is full
    journal: str  # "always": on the disk before it counts; "everysec", "no"; "off": there is none
    acks: int  # replicas that must have a write before it counts

    @property
    def evicts(self) -> bool:
        return self.eviction not in ("", "noeviction")

    @property
    def loses(self) -> str:
        """What a crash of the store may take with it; "" for nothing."""
        if self.journal == "always" or self.acks:
            return ""
        if self.journal == "everysec":
            return "up to a second of what was written"
        return "what was written since its last snapshot"


class Standing:
    """Changed by the store alone. A store of one's own memory or file always answers, and is one's own."""

    __slots__ = ("_followers", "available", "durability", "own", "processes", "reason", "switches")

    def __init__(self, *, available: bool = True, processes: int = 1, own: bool = True) -> None:
        self.available = available
        self.own = own  # only processes of this machine use it
        self.processes = (
            processes  # alive and using the store, this one included; the last that was known while it is away
        )
        self.reason = ""  # why it is not available, for the log and for operators
        self.switches = 0  # times it went away
        self.durability: Durability | None = (
            None  # of a store beside the gateway that holds what must last, once it is known
        )
        self._followers: list[Callable[[], Callable[[bool], Any] | None]] = []

    def follow(self, changed: Callable[[bool], Any]) -> None:
        """Call `changed(available)` whenever the store goes away or comes back; it must not raise or wait.

        Held weakly: it ends with the function, or with the object whose method it is.
        """
        self._followers.append(WeakMethod(changed) if hasattr(changed, "__self__") else ref(changed))

    def gone(self, reason: str) -> bool:
        """The store cannot be used from now on. Returns whether that is news."""
        self.reason = reason
        return self._changed(False)

    def back(self) -> bool:
        """The store can be used again. Returns whether that is news."""
        self.reason = ""
        return self._changed(True)

    def _changed(self, available: bool) -> bool:
        if self.available == available:
            return False
        self.available = available
        self.switches += not available
        alive = [(follower, found) for follower in self._followers if (found := follower()) is not None]
        self._followers = [follower for follower, _ in alive]
        for _, changed in alive:
            changed(available)
        return True
