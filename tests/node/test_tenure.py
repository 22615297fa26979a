"""A scheduler's claim on a node, durable or not: every order of events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lightwork.node.core import tenure as do
from lightwork.node.core.tenure import Epochs, Phase, Tenure

S = 1_000_000_000
LEASE, ORPHANS = 10 * S, 100 * S


def make(epoch: int = 0, now: int = 0) -> Tenure:
    numbers = iter(range(10**6))
    return Tenure(LEASE, ORPHANS, now, lambda: f"c{next(numbers)}", epoch)


def live(epoch: int = 0) -> Tenure:
    tenure = make(epoch)
    tenure.linked("l1", epoch, 0)
    tenure.welcomed("l1", False, 0, bool(epoch), epoch, 0)
    return tenure


def words(commands: do.Commands) -> list[Any]:
    return [(type(one).__name__, *(getattr(one, field) for field in one.__struct_fields__)) for one in commands]


def test_the_life_of_a_claim_that_is_not_durable():
    tenure = make()
    assert words(tenure.linked("l1", 0, 0)) == [("Offer", "l1", "c0")]
    assert words(tenure.welcomed("l1", False, 0, False, 0, S)) == [("Resume", "l1", 0)]
    assert tenure.live
    tenure.unlinked("l1")
    assert not tenure.live
    assert words(tenure.linked("l2", 0, 5 * S)) == [("Offer", "l2", "c0")]
    assert words(tenure.welcomed("l2", True, 7, False, 0, 6 * S)) == [("Resume", "l2", 7)]
    assert tenure.passed(14 * S, 3) == []
    assert tenure.left_ns(14 * S) == S
    ended = words(tenure.passed(15 * S, 3))
    assert [one[0] for one in ended] == ["Drop", "End"]
    assert "10 s was answered" in ended[1][1]
    assert tenure.phase is Phase.OVER
    assert tenure.passed(99 * S, 0) == []
    assert words(tenure.linked("l3", 0, 99 * S)) == [("Drop", "l3", False)]


def test_a_scheduler_that_has_given_us_up_begins_anew_over_the_same_link():
    tenure = live()
    tenure.unlinked("l1")
    tenure.linked("l2", 0, S)
    (end,) = tenure.welcomed("l2", False, 0, False, 0, S)
    assert isinstance(end, do.End)
    assert end.again == "l2"
    new = make(now=S)
    assert words(new.begun_on("l2", S)) == [("Resume", "l2", 0)]
    assert new.live


def test_a_new_link_takes_the_place_of_the_old_one():
    tenure = live()
    assert words(tenure.linked("l2", 0, S)) == [("Drop", "l1", False), ("Offer", "l2", "c0")]
    assert tenure.welcomed("l1", True, 0, False, 0, S) == []  # late, over the old one
    assert tenure.left("l1", "done") == []
    tenure.unlinked("l1")
    assert tenure.link == "l2"


def test_a_goodbye_ends_it():
    (drop, end) = live().left("l1", "the cluster is closed")
    assert isinstance(drop, do.Drop)
    assert isinstance(end, do.End)
    assert end.why == "the scheduler has left: the cluster is closed"


@pytest.mark.parametrize("left", ["nothing", "orphans"])
def test_orphans_of_a_durable_scheduler(left):
    tenure = live(1)
    number = tenure.number
    assert words(tenure.passed(10 * S, 4)) == [("Drop", "l1", False), ("LetGo",)]
    assert tenure.phase is Phase.ORPHANED
    assert tenure.number != number
    assert tenure.passed(50 * S, 2) == []
    assert tenure.left_ns(50 * S) == 60 * S
    if left == "nothing":
        (end,) = tenure.passed(60 * S, 0)
        assert isinstance(end, do.End)
        assert "none of its jobs runs here" in end.why
    else:
        (end,) = tenure.passed(110 * S, 2)
        assert isinstance(end, do.End)
        assert end.why == "it could not be reached for 1 min 40 s, and 2 jobs of it still ran"


def test_a_durable_scheduler_without_attempts_here_just_lets_go():
    (_, end) = live(1).passed(10 * S, 0)
    assert isinstance(end, do.End)


def test_orphans_are_counted_from_the_end_of_the_lease_even_if_we_slept():
    tenure = live(1)
    assert words(tenure.passed(500 * S, 4))[-1] == ("LetGo",)
    (end,) = tenure.passed(500 * S, 4)
    assert isinstance(end, do.End)


def test_adoption_from_everywhere():
    for lost_s in (0, 3, 30):
        tenure = live(1)
        if lost_s:
            tenure.unlinked("l1")
            tenure.passed(lost_s * S, 1)
        commands = words(tenure.linked("l2", 2, lost_s * S))
        assert commands[-1] == ("Offer", "l2", tenure.number)
        assert words(tenure.welcomed("l2", False, 0, True, 2, lost_s * S)) == [("Adopt", "l2")]
        assert tenure.live
        assert tenure.epoch == 2
        assert tenure.passed((lost_s + 9) * S, 1) == []


def test_an_offer_that_was_not_answered_is_not_made_again():
    """The scheduler may have said that it adopts us: then what both have counted does not fit together."""
    tenure = make(1)
    (first,) = tenure.linked("l1", 1, 0)
    tenure.unlinked("l1")
    (second,) = tenure.linked("l2", 1, 0)
    assert isinstance(first, do.Offer)
    assert isinstance(second, do.Offer)
    assert first.claim != second.claim
    tenure.welcomed("l2", False, 0, True, 1, 0)
    tenure.unlinked("l2")
    (third,) = tenure.linked("l3", 1, 0)
    assert isinstance(third, do.Offer)
    assert third.claim == second.claim  # that one was answered


def test_an_earlier_life_is_not_obeyed():
    tenure = live(3)
    assert words(tenure.linked("old", 2, S)) == [("Drop", "old", True)]
    assert tenure.link == "l1"
    assert tenure.live
    tenure.linked("l2", 4, S)
    assert words(tenure.welcomed("l2", False, 0, True, 3, S)) == [("Drop", "l2", True)]
    assert not tenure.live


def test_epochs_that_were_seen():
    epochs = Epochs({"a": 3}, most=2)
    assert not epochs.admits("a", 2)
    assert epochs.admits("a", 3)
    assert epochs.admits("b", 0)
    assert not epochs.note("a", 3)
    assert epochs.note("a", 4)
    assert epochs.note("b", 1)
    assert epochs.note("c", 1)
    assert epochs.seen == {"b": 1, "c": 1}


class AnyOrder(RuleBasedStateMachine):
    """Whatever comes in whatever order."""

    @initialize(durable=st.booleans())
    def begin(self, durable: bool) -> None:
        self.durable = durable
        self.now = 0
        self.tenure = make(int(durable))
        self.epoch = int(durable)
        self.links = 0
        self.running = 3
        self.proved = 0  # when the scheduler was last known to live
        self.over: do.End | None = None
        self.let_go_ns = -1
        self.offers: dict[str, tuple[str, int]] = {}  # link -> claim, when

    def obey(self, commands: do.Commands) -> None:
        for one in commands:
            assert self.over is None or isinstance(one, do.Drop), "it was over"
            if isinstance(one, do.End):
                self.over = one
            elif isinstance(one, do.LetGo):
                assert self.durable
                assert self.let_go_ns < 0
                self.let_go_ns = self.now
            elif isinstance(one, do.Adopt | do.Resume):
                assert self.tenure.live
                assert one.link == self.tenure.link
                self.proved = max(self.proved, self.offers[one.link][1])
                if isinstance(one, do.Adopt):
                    assert self.durable
                    self.let_go_ns = -1
                assert self.let_go_ns < 0, "orphans are adopted, or nothing"
            elif isinstance(one, do.Offer):
                self.offers[one.link] = one.claim, self.now

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds: float) -> None:
        self.now += int(seconds * S)
        self.obey(self.tenure.passed(self.now, self.running))
        self.obey(self.tenure.passed(self.now, self.running))

    @rule(count=st.integers(0, 3))
    def jobs_end(self, count: int) -> None:
        self.running = count

    @rule(step=st.sampled_from([-1, 0, 0, 0, 1]))
    def linked(self, step: int) -> None:
        epoch = max(self.epoch + step, 1) if self.durable else 0
        self.links += 1
        before = self.tenure.link
        commands = self.tenure.linked(f"l{self.links}", epoch, self.now)
        self.obey(commands)
        if epoch < self.epoch or self.over is not None:
            assert self.tenure.link == before
            assert [type(one) for one in commands] == [do.Drop]
        else:
            self.epoch = epoch
            assert self.tenure.link == f"l{self.links}"

    def _link(self, back: int) -> str:
        return f"l{max(self.links - back, 0)}"

    @rule(back=st.sampled_from([0, 0, 0, 1]), resumed=st.booleans(), adopts=st.booleans(), late=st.booleans())
    def welcomed(self, back: int, resumed: bool, adopts: bool, late: bool) -> None:
        link, live, epoch = self._link(back), self.tenure.live, self.epoch - int(late and self.durable)
        commands = self.tenure.welcomed(link, resumed, 0, adopts and self.durable, epoch, self.now)
        self.obey(commands)
        if (back and self.links) or epoch < self.epoch:
            assert not any(isinstance(one, do.Adopt | do.Resume | do.End) for one in commands)
            assert self.tenure.live == live

    @rule(back=st.sampled_from([0, 0, 1]))
    def unlinked(self, back: int) -> None:
        self.tenure.unlinked(self._link(back))

    @rule(back=st.sampled_from([0, 1, 1, 1]))
    def left(self, back: int) -> None:
        self.obey(self.tenure.left(self._link(back), "done"))

    @precondition(lambda self: self.tenure.live)
    @rule()
    def answered(self) -> None:
        number = self.tenure.pulse.ping(self.now)
        self.tenure.pulse.pong(number)
        self.proved = self.now

    @invariant()
    def nothing_outlives_its_time(self) -> None:
        if not hasattr(self, "tenure") or self.over is not None:
            return
        self.obey(self.tenure.passed(self.now, self.running))
        if self.over is not None:
            return
        if not self.durable:
            assert self.now - self.proved < LEASE, "a claim that is not durable never outlives its lease"
        elif self.let_go_ns >= 0:
            assert self.tenure.phase is Phase.ORPHANED
            assert self.now - self.proved < LEASE + ORPHANS
            assert self.running
        else:
            assert self.now - self.proved < LEASE
        assert self.tenure.epoch == self.epoch


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)
