"""What a node owes a durable scheduler: whatever comes in whatever order, no end is forgotten before it is settled."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lightwork.node.core.keeping import ENDED, HELD, STARTED, Keeping


def test_an_attempt_from_its_assignment_to_its_settlement():
    keeping = Keeping()
    keeping.assigned("s", [11, 12, 13], [5], "A")
    truth = keeping.truth({12: 700}, ["s", "idle"])
    assert (truth.sessions, truth.session) == (["s", "idle"], [0, 0, 0])
    assert truth.jobs == [5, 6, 7]
    assert truth.stages == [HELD, STARTED, HELD]
    assert truth.ages_ns == [0, 700, 0]
    keeping.sent(12, "F")
    assert keeping.ended([12], "E").left == 1
    assert [(due.entry, due.tokens) for due in keeping.unsettled()] == [("F", [12]), ("E", [12])]
    assert keeping.truth({}).stages == [HELD, ENDED, HELD]
    assert keeping.returned([11]).entries == []
    gone = keeping.settled([12])
    assert (gone.tokens, gone.entries) == ([12], ["F", "E"] if gone.entries[0] == "F" else ["E", "F"])
    assert keeping.returned([13]).entries == ["A"]
    assert keeping.truth({}).tokens == []


def test_what_has_not_ended_is_owed_whatever_is_said_of_it():
    keeping = Keeping()
    keeping.assigned("s", [1], [1], "A")
    assert keeping.settled([1]).tokens == []  # of an end that we never told
    keeping.ended([1], "E")
    assert [due.entry for due in keeping.unsettled()] == ["E"]
    assert keeping.returned([1]).tokens == []  # too late
    assert keeping.only([]).tokens == []
    assert [due.entry for due in keeping.unsettled()] == ["E"]


def test_the_first_end_stays():
    keeping = Keeping()
    keeping.assigned("s", [1, 2], [1], "A")
    keeping.ended([1], "first")
    assert keeping.ended([1], "second").left == 0
    third = keeping.ended([1, 2], "third")
    assert (list(third.tokens), third.left) == ([2], 1)
    assert [(due.entry, due.tokens) for due in keeping.unsettled()] == [("first", [1]), ("third", [2])]


def test_after_a_restart_what_has_no_end_had_not_started():
    keeping = Keeping()
    keeping.assigned("s", [1, 2, 3], [1], "A")
    keeping.sent(3, "F")
    keeping.sent(9, "G")  # of an attempt of which nothing else is known
    keeping.ended([2], "E")
    keeping.ended([8], "E2")
    assert keeping.nameless() == [8]
    gone = keeping.restarted()
    assert sorted(gone.tokens) == [1, 3, 9]
    assert sorted(gone.entries) == ["F", "G"]
    assert [due.entry for due in keeping.unsettled()] == ["E", "E2"]


def test_entries_may_be_written_elsewhere():
    keeping = Keeping()
    note = keeping.assigned("s", [1, 2], [7, 30], "A")
    end = keeping.ended([1], "E")
    due = keeping.unsettled()[0]
    shares = {share.one.entry: (share.tokens, share.numbers) for share in keeping.shares([note, end])}
    assert shares == {"A": ([1, 2], [7, 30]), "E": ([1], [])}
    note.entry, end.entry = "A2", "E2"
    assert due.entry == "E2"
    assert keeping.settled([1]).entries == ["E2"]
    assert keeping.returned([2]).entries == ["A2"]


class Owed(RuleBasedStateMachine):
    """Against a model that is as simple as can be."""

    @initialize()
    def begin(self) -> None:
        self.keeping = Keeping()
        self.jobs: dict[int, tuple[str, int]] = {}
        self.ends: dict[int, int] = {}
        self.files: dict[int, list[int]] = {}
        self.live: set[int] = set()  # entries
        self.next = self.entry = 0

    def _entry(self) -> int:
        self.entry += 1
        self.live.add(self.entry)
        return self.entry

    @rule(count=st.integers(1, 5), session=st.sampled_from("st"), spread=st.booleans())
    def assigned(self, count: int, session: str, spread: bool) -> None:
        tokens = list(range(self.next + 1, self.next + 1 + count))
        self.next += count
        numbers = [7 * token for token in tokens] if spread else [tokens[0] + 100]
        self.keeping.assigned(session, tokens, numbers, self._entry())
        self.jobs.update({token: (session, 7 * token if spread else token + 100) for token in tokens})

    def _some(self, data: st.DataObject) -> list[int]:
        return data.draw(st.lists(st.integers(1, max(self.next, 1)), max_size=6, unique=True))

    @precondition(lambda self: self.next)
    @rule(data=st.data())
    def ended(self, data: st.DataObject) -> None:
        tokens = [token for token in self._some(data) if token in self.jobs]
        new = [token for token in tokens if token not in self.ends]
        entry = self._entry()
        assert self.keeping.ended(tokens, entry).left == len(new)
        self.ends.update(dict.fromkeys(new, entry))
        if not new:
            self.live.discard(entry)

    @precondition(lambda self: self.next)
    @rule(data=st.data())
    def sent(self, data: st.DataObject) -> None:
        for token in self._some(data):
            if token in self.jobs and token not in self.ends:
                entry = self._entry()
                self.keeping.sent(token, entry)
                self.files.setdefault(token, []).append(entry)

    @precondition(lambda self: self.next)
    @rule(data=st.data())
    def settled(self, data: st.DataObject) -> None:
        tokens = self._some(data)
        gone = self.keeping.settled(tokens)
        owed = {token for token in self.jobs if token not in self.ends}
        assert set(gone.tokens) == set(tokens) - owed
        for token in gone.tokens:
            self._drop(token)
        self._gone(gone.entries)

    @precondition(lambda self: self.next)
    @rule(data=st.data())
    def returned(self, data: st.DataObject) -> None:
        tokens = self._some(data)
        gone = self.keeping.returned(tokens)
        for token in tokens:
            if token not in self.ends:
                self._drop(token)
        self._gone(gone.entries)

    @rule()
    def restarted(self) -> None:
        gone = self.keeping.restarted()
        for token in [token for token in self.jobs if token not in self.ends]:
            self._drop(token)
        self._gone(gone.entries)

    def _drop(self, token: int) -> None:
        self.jobs.pop(token, None)
        self.ends.pop(token, None)
        self.files.pop(token, None)

    def _gone(self, entries: list[int]) -> None:
        assert len(set(entries)) == len(entries)
        assert self.live.issuperset(entries)
        self.live.difference_update(entries)

    @invariant()
    def all_is_told(self) -> None:
        if not hasattr(self, "keeping"):
            return
        told = [(due.entry, token) for due in self.keeping.unsettled() for token in due.tokens]
        files = [(entry, token) for token, entries in self.files.items() for entry in entries]
        assert sorted(told) == sorted([*((entry, token) for token, entry in self.ends.items()), *files])
        assert [entry for entry, _ in told] == sorted(entry for entry, _ in told)
        truth = self.keeping.truth({})
        rows = zip(truth.tokens, truth.session, truth.jobs, truth.stages, strict=True)
        found = {token: (truth.sessions[session], job, stage == ENDED) for token, session, job, stage in rows}
        assert found == {token: (*job, token in self.ends) for token, job in self.jobs.items()}
        assert {entry for entry, _ in told} <= self.live
        owned = {share.one.entry for share in self.keeping.shares(self.keeping._order.values())}
        assert owned <= self.live
        assert self.keeping.count() == len(self.ends)


TestOwed = Owed.TestCase
TestOwed.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


@given(st.lists(st.integers(0, 40), unique=True), st.dictionaries(st.integers(0, 40), st.integers(0, 9)))
def test_the_truth_has_a_row_for_each(tokens, started):
    keeping = Keeping()
    keeping.assigned("s", tokens, [token + 1 for token in tokens])
    truth = keeping.truth(started)
    assert truth.tokens == tokens
    assert truth.stages == [STARTED if token in started else HELD for token in tokens]
