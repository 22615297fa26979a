"""Hours of the day in which a node works: what they say, and what a clock makes of them."""

from __future__ import annotations

import pytest

from lightwork.model.errors import UserError
from lightwork.node.core.hours import DAY_S, Hours, Phase, Timetable, clock, hours_of, second_of

H = 3600
S = 10**9
NIGHT = Hours(20 * H, 6 * H, 7 * H)


@pytest.mark.parametrize(
    ("hour", "phase", "left_h"),
    [
        (20, Phase.OPEN, 10),
        (23.5, Phase.OPEN, 6.5),
        (0, Phase.OPEN, 6),
        (6, Phase.CLOSING, 1),
        (7, Phase.CLOSED, 13),
        (19, Phase.CLOSED, 1),
    ],
)
def test_hours_may_go_past_midnight(hour: float, phase: Phase, left_h: float) -> None:
    assert NIGHT.at(hour * H) == (phase, left_h * H)


def test_without_an_end_what_runs_goes_on_until_it_opens_again() -> None:
    day = Hours(8 * H, 18 * H)
    assert day.at(18 * H) == (Phase.CLOSING, 14 * H)
    assert day.at(7 * H) == (Phase.CLOSING, H)


def test_the_monotonic_clock_says_when_it_is_over() -> None:
    table = Timetable(NIGHT)
    table.read(6 * H - 20, 5 * S)
    assert table.phase(5 * S) is Phase.OPEN
    assert table.unwilling(5 * S) == ""
    assert table.wait_s(5 * S) == 20
    assert table.phase(25 * S) is Phase.CLOSING
    assert table.unwilling(25 * S) == "closed until 20:00: its hours are 20:00 to 06:00"
    assert table.wait_s(25 * S) == 40  # then the wall clock is read again
    assert not table.stale(64 * S)
    assert table.stale(65 * S)


def test_a_wall_clock_that_was_set_is_followed() -> None:
    table = Timetable(NIGHT)
    table.read(12 * H, 0)
    assert table.phase(60 * S) is Phase.CLOSED
    table.read(21 * H, 60 * S)
    assert table.phase(60 * S) is Phase.OPEN


def test_without_hours_it_is_always_open() -> None:
    table = Timetable()
    assert table.phase(10**15) is Phase.OPEN
    assert table.unwilling(10**15) == ""


def test_as_an_owner_writes_them() -> None:
    now = 9 * H
    assert hours_of("", "", "", now) is None
    assert hours_of("8:00", "18:00", "18:30:15", now) == Hours(8 * H, 18 * H, 18 * H + 1815)
    assert hours_of("", "+2h30m", "", now) == Hours(9 * H, 11 * H + 1800)
    assert hours_of("", "", "+90s", DAY_S - 30) == Hours(DAY_S - 30, 60, 60)
    assert clock(second_of("07:05", "x", 0)) == "07:05"
    assert clock(61) == "00:01:01"


@pytest.mark.parametrize(
    ("start", "stop", "end", "says"),
    [
        ("8:00", "", "", "until when"),
        ("24:00", "1:00", "", "--service-start 24:00: that is no time"),
        ("8:00", "noon", "", "--service-stop noon"),
        ("8:00", "+", "", r"--service-stop \+"),
        ("8:00", "9:00", "+25h", r"--service-end \+25h"),
        ("8:00", "8:00", "", "no time at all"),
        ("8:00", "18:00", "17:00", "end at 17:00, before they stop at 18:00"),
    ],
)
def test_what_is_no_hours_is_told(start: str, stop: str, end: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        hours_of(start, stop, end, 0)
