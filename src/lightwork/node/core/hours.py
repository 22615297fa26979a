"""When a node's owner lets it work: hours of the day, by the clock on the wall.

      start            stop              end               start (tomorrow)
        |---- OPEN ------|---- CLOSING ----|---- CLOSED -----|      without `end`, CLOSING lasts until `start`

OPEN     takes jobs
CLOSING  takes none; those that run go on
CLOSED   none runs

The wall clock is read once a minute; in between, the monotonic one says what time it is. So a change of the wall clock
is followed within a minute, and nothing else that this node decides depends on it. Pure.
"""

from __future__ import annotations

import enum
import re

from msgspec import Struct

from lightwork.model.errors import UserError

DAY_S = 86_400
READ_S = 60
_NS = 10**9
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")
_SPAN = re.compile(r"\+(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_HINT = "a time of day such as 18:00, or so long from now: +90s, +30m, +2h"


class Phase(enum.Enum):
    """What may be done now."""

    OPEN = 0
    CLOSING = 1
    CLOSED = 2


class Hours(Struct, frozen=True):
    """Seconds since midnight; `end` -1: there is none. Past midnight is fine."""

    start: int
    stop: int
    end: int = -1

    def at(self, second: float) -> tuple[Phase, float]:
        """What may be done at this second of the day, and for how many more it stays so."""
        since = (second - self.start) % DAY_S
        stop = (self.stop - self.start) % DAY_S
        if since < stop:
            return Phase.OPEN, stop - since
        end = (self.end - self.start) % DAY_S if self.end >= 0 else DAY_S
        if since < end:
            return Phase.CLOSING, end - since
        return Phase.CLOSED, DAY_S - since

    def __str__(self) -> str:
        return f"{clock(self.start)} to {clock(self.stop)}"


class Timetable:
    """Hours, and what time it is. Without hours it is always open."""

    def __init__(self, hours: Hours | None = None) -> None:
        self.hours = hours
        self._second = 0.0
        self._read_ns = -1

    def read(self, second: float, now_ns: int) -> None:
        """The wall clock shows this second of the day."""
        self._second, self._read_ns = second, now_ns

    def stale(self, now_ns: int) -> bool:
        """Whether the wall clock is to be read again."""
        return self._read_ns < 0 or now_ns - self._read_ns >= READ_S * _NS

    def phase(self, now_ns: int) -> Phase:
        """What may be done now."""
        return self._at(now_ns)[0]

    def wait_s(self, now_ns: int) -> float:
        """When to look again."""
        return min(self._at(now_ns)[1], max(0.0, READ_S - (now_ns - self._read_ns) / _NS))

    def unwilling(self, now_ns: int) -> str:
        """Why nothing new may start now; "": it may."""
        if self.hours is None or self.phase(now_ns) is Phase.OPEN:
            return ""
        return f"closed until {clock(self.hours.start)}: its hours are {self.hours}"

    def _at(self, now_ns: int) -> tuple[Phase, float]:
        if self.hours is None:
            return Phase.OPEN, float(DAY_S)
        return self.hours.at(self._second + (now_ns - self._read_ns) / _NS)


def hours_of(start: str, stop: str, end: str, second: int) -> Hours | None:
    """As a command line has them, each "" if not given; `second` of the day is now. None: always. UserError."""
    if not (start or stop or end):
        return None
    if not (stop or end):
        raise UserError("--service-start alone: until when?", hint="give --service-stop or --service-end as well")
    begins = second_of(start, "--service-start", second) if start else second
    ends = second_of(end, "--service-end", second) if end else -1
    return checked(Hours(begins, second_of(stop, "--service-stop", second) if stop else ends, ends))


def checked(hours: Hours) -> Hours:
    """UserError: they are none."""
    start, stop, end = hours.start, hours.stop, hours.end
    if start == stop:
        raise UserError(f"service hours {hours} are no time at all", hint="give different times")
    if end >= 0 and (end - start) % DAY_S < (stop - start) % DAY_S:
        raise UserError(
            f"service hours end at {clock(end)}, before they stop at {clock(stop)}",
            hint=f"they start at {clock(start)}; stop comes first, then end",
        )
    return hours


def second_of(text: str, option: str, second: int) -> int:
    """The second of the day that is meant. UserError."""
    found = _CLOCK.fullmatch(text)
    if found:
        hour, minute, rest = (int(part or 0) for part in found.groups())
        if hour < 24 and minute < 60 and rest < 60:
            return hour * 3600 + minute * 60 + rest
    after = _SPAN.fullmatch(text)
    if after and any(after.groups()):
        hours, minutes, seconds = (int(part or 0) for part in after.groups())
        span = hours * 3600 + minutes * 60 + seconds
        if 0 < span < DAY_S:
            return (second + span) % DAY_S
    raise UserError(f"{option} {text}: that is no time", hint=_HINT)


def clock(second: int) -> str:
    """`64800` is "18:00"."""
    minutes, seconds = divmod(second, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}" + (f":{seconds:02}" if seconds else "")
