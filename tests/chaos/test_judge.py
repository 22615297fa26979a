"""The judge of the chaos sees what is wrong, and nothing where all is right."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.chaos import oracle
from tests.chaos.history import Event, History
from tests.chaos.judge import Given, Lives, judge
from tests.chaos.oracle import SECOND, Delivery, Run
from tests.chaos.plan import CUT, KILL, RAZE, SPARE, Size, plan
from tests.chaos.program import Kind, kind_of

LEASE_S, RELAY_LEASE_S, LOST_S = 5.0, 12.0, 3.0
LEASES_S = {"a": LEASE_S, "b": LEASE_S, "d": RELAY_LEASE_S}
QUIET = Event(1000 * SECOND, "heal", "host", "a")


def at(seconds: float) -> int:
    return int(seconds * SECOND)


def run(begins: float, ends: float = 0.0, host: str = "a", pid: int = 1, raises: float = 0, dies: float = 0) -> Run:
    return Run("j", host, pid, at(begins), at(ends), at(raises), at(dies))


def given(
    state: str = "FINISHED", of: Run | None = None, life: int = 1, again: bool = False, error: str = ""
) -> Delivery:
    value: list[object] | None = [of.host, of.pid, of.at] if of is not None else None
    return Delivery(life, "j", state, again, value, 1, "", error, at(99))


def judged(
    runs: list[Run],
    delivered: list[Delivery],
    *events: Event,
    reentrant: bool | None = None,
    kind: Kind = Kind("plain"),
    lives: Lives = Lives(1, 1),
) -> str:
    history = History([*events, QUIET], LEASES_S, ["d"], LOST_S)
    return " | ".join(text for _, text in judge([Given("j", kind, reentrant)], {"j": runs}, delivered, lives, history))


def events(what: str, kind: str, whom: str, begin: float, end: float, pid: int = 0) -> tuple[Event, Event]:
    over = {"kill": "up", "stop": "cont", "cut": "heal"}[what]
    return Event(at(begin), what, kind, whom, pid), Event(at(end), over, kind, whom, pid)


ONE, TWO = run(1, 2), run(10, 11, "b", 2)
FAR, LATER = run(1, host="d"), run(30, 31, "b", 2)
OPEN = run(1)  # it never told an end


def test_a_job_that_ran_once_and_was_delivered_once() -> None:
    assert judged([ONE], [given(of=ONE)]) == ""


def test_no_end() -> None:
    assert "P8" in judged([ONE], [])
    assert "P8" in judged([ONE], [given(of=ONE)], lives=Lives(1, 2))


def test_delivered_twice() -> None:
    assert "P4" in judged([ONE], [given(of=ONE), given(of=ONE)])


def test_two_lives_and_the_mark() -> None:
    lives = Lives(1, 2)
    assert judged([ONE], [given(of=ONE), given(of=ONE, life=2, again=True)], lives=lives) == ""
    assert judged([ONE], [given(of=ONE, life=2, again=True)], lives=lives) == "", "handed over, perhaps"
    assert "P4" in judged([ONE], [given(of=ONE), given(of=ONE, life=2)], lives=lives)
    assert "P4" in judged([ONE], [given(of=ONE, again=True)])


def test_two_ends() -> None:
    killed = events("kill", "worker", "a", 2.1, 0, pid=1)[0]
    other = [given(of=ONE), given(of=TWO, life=2, again=True)]
    assert "P2" in judged([ONE, TWO], other, killed, lives=Lives(1, 2))
    assert "P2" in judged([ONE], [given(of=ONE), given("LOST", life=2, again=True)], reentrant=False, lives=Lives(1, 2))


def test_a_restart_of_the_scheduler_excuses_no_second_start() -> None:
    assert "P5" in judged([OPEN, TWO], [given(of=TWO)], *events("kill", "scheduler", "s", 3, 9))
    assert "P5" in judged([OPEN, TWO], [given(of=TWO)], *events("stop", "journal", "s", 3, 9))


@pytest.mark.parametrize(
    "done",
    [
        (Event(at(3), "kill", "worker", "a", 1),),
        (Event(at(3), "kill", "keeper", "a", 7),),
        events("kill", "node", "a", 3, 4),
        events("cut", "host", "a", 0.5, 8),
        events("cut", "host", "s", 3, 9),
        events("stop", "node", "a", 3, 9),
        events("stop", "scheduler", "s", 3, 9),
    ],
)
def test_what_excuses_a_second_start(done: tuple[Event, ...]) -> None:
    assert judged([OPEN, TWO], [given(of=TWO)], *done) == ""
    assert "P3" in judged([OPEN, TWO], [given(of=TWO)], *done, reentrant=False), "not there"


@pytest.mark.parametrize(
    "done",
    [
        (Event(at(3), "kill", "worker", "a", 5),),  # another one
        (Event(at(3), "kill", "worker", "b", 1),),
        (Event(at(0.5), "kill", "node", "a", 7), Event(at(0.9), "up", "node", "a")),  # before
        (Event(at(12), "kill", "keeper", "a", 7),),  # after
        events("cut", "host", "a", 3, 3.5),  # too short
        events("cut", "host", "b", 3, 9),  # another one
        events("stop", "worker", "a", 3, 9, pid=1),
    ],
)
def test_what_excuses_nothing(done: tuple[Event, ...]) -> None:
    assert "P3" in judged([OPEN, TWO], [given(of=TWO)], *done)


@pytest.mark.parametrize(
    "done", [("kill", "relay", "r"), ("stop", "relay", "r"), ("cut", "link", "g"), ("cut", "host", "d")]
)
def test_behind_a_relay_the_lease_is_longer(done: tuple[str, str, str]) -> None:
    short, long = events(*done, 3, 3 + RELAY_LEASE_S - 5), events(*done, 3, 3 + RELAY_LEASE_S)
    assert "P3" in judged([FAR, LATER], [given(of=LATER)], *short)
    assert judged([FAR, LATER], [given(of=LATER)], *long) == ""
    assert "P6" in judged([FAR], [given("LOST")], *short, reentrant=False)
    assert judged([FAR], [given("LOST")], *long, reentrant=False) == ""


def test_the_death_of_a_relay_is_nothing_to_nodes_elsewhere() -> None:
    assert "P3" in judged([OPEN, LATER], [given(of=LATER)], *events("kill", "relay", "r", 3, 20))
    assert "P3" in judged([OPEN, LATER], [given(of=LATER)], *events("cut", "link", "g", 3, 20))
    assert "P6" in judged([OPEN], [given("LOST")], *events("cut", "link", "g", 3, 20), reentrant=False)


def test_an_end_that_had_reached_its_file_survives_the_node() -> None:
    assert "P3" in judged([ONE, TWO], [given(of=TWO)], *events("kill", "node", "a", 5, 6))
    assert judged([ONE, TWO], [given(of=TWO)], *events("kill", "node", "a", 2.3, 6)) == "", "too near to be sure"


def test_a_twin_is_for_true_alone_and_for_long_jobs() -> None:
    twin, early, same = run(5, 6, "b", 2), run(1.5, 6, "b", 2), run(5, 6, "a", 2)
    assert judged([OPEN, twin], [given(of=twin)], reentrant=True) == ""
    assert "P3" in judged([OPEN, twin], [given(of=twin)])
    assert "P3" in judged([OPEN, early], [given(of=early)], reentrant=True)
    assert "P3" in judged([OPEN, same], [given(of=same)], reentrant=True)
    assert "P3" in judged([run(1, 2.5), twin], [given(of=twin)], reentrant=True), "the first had ended"


def test_retries() -> None:
    again = Kind("again", retries=1)
    first, second, third = run(1, raises=1.5), run(2, raises=2.5), run(3, 4)
    assert judged([first, run(2, 3)], [given(of=run(2, 3))], kind=again, reentrant=False) == ""
    assert "P3" in judged([first, second, third], [given(of=third)], kind=again)
    assert "P3" in judged([first, third], [given(of=third)])
    assert judged([run(1, raises=2)], [given("FAILED")], kind=Kind("fails")) == ""
    assert "FAILED" in judged([run(1, 2)], [given("FAILED")])


def test_poison() -> None:
    dead = [run(n, pid=n, dies=n + 0.1) for n in (1, 2, 3)]
    kind = Kind("poison")
    assert judged(dead, [given("POISONED")], kind=kind) == ""
    assert "P9" in judged(dead[:2], [given("POISONED")], kind=kind)
    assert judged(dead[:1], [given("POISONED")], kind=kind, reentrant=False) == ""
    assert "P9" in judged([OPEN], [given("POISONED")], reentrant=False)
    killed = Event(at(1.5), "kill", "worker", "a", 1)
    assert judged([OPEN], [given("POISONED")], killed, reentrant=False) == ""
    assert "and not POISONED" in judged([run(1, 2)], [given(of=run(1, 2))], kind=kind)


def test_lost() -> None:
    cut = events("cut", "host", "a", 1.5, 20)
    assert judged([OPEN], [given("LOST")], *cut, reentrant=False) == ""
    assert judged([OPEN], [given("LOST")], *events("kill", "node", "a", 2, 3), reentrant=False) == ""
    assert judged([], [given("LOST")], *cut, reentrant=False) == "", "granted, and perhaps never started"
    assert "P3" in judged([OPEN], [given("LOST")], *cut)
    assert "P3" in judged([], [given("LOST")], reentrant=False)
    assert "P6" in judged([OPEN], [given("LOST")], *events("cut", "host", "a", 1.5, 2.5), reentrant=False)
    assert "P6" in judged([ONE], [given("LOST")], *events("kill", "node", "a", 5, 6), reentrant=False)


def test_an_end_that_nobody_could_be_told_before_its_node_was_cut_off() -> None:
    dead = events("kill", "scheduler", "s", 1.5, 4)
    cut = events("cut", "host", "a", 4, 20)
    assert judged([ONE], [given("LOST")], *dead, *cut, reentrant=False) == ""
    assert "P6" in judged([ONE], [given("LOST")], *cut, reentrant=False)
    assert judged([ONE, run(21, 22, "b", 2)], [given(of=run(21, 22, "b", 2))], *dead, *cut) == ""
    assert "P3" in judged([ONE, TWO], [given(of=TWO)], *dead), "the death of the scheduler alone is no reason"


def test_a_value_that_nobody_made() -> None:
    assert "never wrote" in judged([ONE], [given(of=TWO)])
    assert "the value is wrong" in judged([ONE], [given(of=ONE)._replace(wrong="too short")])
    assert "nobody submitted" in judged([ONE], [given(of=ONE), given(of=ONE)._replace(key="k")])


def test_what_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "oracle"
    assert oracle.runs(path) == {}
    path.write_text(
        "START j a 1 10\nSTART k a 2 11\nEND j a 1 20\nSTART j b 1 30\nDIES j b 1 40\nRAISES k a 2 41\nEND k"
    )
    assert oracle.runs(path) == {
        "j": [Run("j", "a", 1, 10, end=20), Run("j", "b", 1, 30, dies=40)],
        "k": [Run("k", "a", 2, 11, raises=41)],
    }


def test_a_plan_is_its_seed() -> None:
    size = Size(60.0, 5, 10, 30, 5, 2, 1, 8, 5, 3, 4, 100)

    def made(seed: int) -> list[object]:
        return list(plan(seed, size, ["a", "b"], ["x"], ["s", "a"]))

    assert made(1) == made(1)
    assert made(1) != made(2)
    faults = plan(3, size, ["a", "b"], ["x"], ["s", "a"])
    kills = [fault.kind for fault in faults if fault.what in (KILL, RAZE)]
    assert {kind: kills.count(kind) for kind in set(kills)} == {
        "scheduler": 5,
        "node": 10,
        "worker": 30 + SPARE,
        "client": 5,
        "keeper": 2,
        "journal": 1,
        "relay": 3,
    }
    assert [fault.kind for fault in faults if fault.what == CUT and not fault.whom] == ["link"] * 4
    assert [fault.kind for fault in faults if fault.what == RAZE] == ["node"] * 2
    assert all(0 <= fault.at_s <= 60 for fault in faults)
    kinds = {kind_of(random.Random(4).randrange(100), "x", index).name for index in range(1000)}
    assert kinds == {"plain", "large", "once", "poison", "again", "fails", "slow", "child", "file"}
