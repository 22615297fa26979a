"""When a scheduler is silent, and when its lease is over. Pure: told the time, in nanoseconds that count suspend.

    ping sent --------------> answered            the scheduler was alive when we sent it: from then on the lease counts
    beat . beat . beat . beat . beat              five beats without any word: the link is dead, whoever is

Silence is counted in beats that we lived through: after we were stopped ourselves, what has come meanwhile is read
before anybody is blamed. The lease is counted in time: others count on it, whatever happened to us.
"""

from __future__ import annotations

from lightwork.config.timers import UNREACHABLE_AFTER_BEATS


class Pulse:
    """Of one claim, over all of its links."""

    def __init__(self, lease_ns: int, now_ns: int) -> None:
        self.lease_ns = lease_ns
        self._answered_ns = now_ns  # when we sent what was answered last
        self._sent: dict[int, int] = {}
        self._number = 0
        self._silent = 0

    def linked(self) -> None:
        """A new link: what was asked over the old one will not be answered."""
        self._sent.clear()
        self._silent = 0

    def ping(self, now_ns: int) -> int:
        """The number of the next ping, which is sent now."""
        self._number += 1
        self._sent[self._number] = now_ns
        return self._number

    def pong(self, number: int) -> None:
        """A ping was answered, and with it all before."""
        sent_ns = self._sent.pop(number, None)
        if sent_ns is not None:
            self.answered(sent_ns)
            self._sent = {later: ns for later, ns in self._sent.items() if later > number}

    def answered(self, sent_ns: int) -> None:
        """The scheduler has answered what we sent at that time."""
        self._answered_ns = max(self._answered_ns, sent_ns)

    def heard(self) -> None:
        """Something came."""
        self._silent = 0

    def beat(self) -> bool:
        """A beat has passed with the link up; whether it has been silent for too long."""
        self._silent += 1
        return self._silent > UNREACHABLE_AFTER_BEATS

    def age_ns(self, now_ns: int) -> int:
        """How long ago we sent what was answered last."""
        return now_ns - self._answered_ns

    def left_ns(self, now_ns: int) -> int:
        """How long the lease still lasts; nothing or less: it is over."""
        return self.lease_ns - self.age_ns(now_ns)
