"""The agent knows which job each attempt is of, without carrying it along."""

from __future__ import annotations

from array import array

from hypothesis import given, strategies as st

from lightwork.node.service.identities import Identities
from lightwork.wire.channel import NOT_TOLD
from lightwork.wire.messages import Assign, JobOptions

EPOCH = 7 << 40


def assign(first: int, numbers: list[int], attempts: list[int] | None = None, count: int = 0) -> Assign:
    tokens = list(range(first, first + (count or len(numbers))))
    return Assign("s", "c", tokens, [1] * len(tokens), JobOptions(), [], numbers, attempts or [])


def told(identities: Identities, tokens: list[int]) -> list[int]:
    shift, options = identities.of(tokens)
    if "numbers" in options:
        assert shift == NOT_TOLD
        numbers = array("Q")
        numbers.frombytes(options["numbers"])
        return numbers.tolist()
    return [(token + shift) & NOT_TOLD for token in tokens]


def test_consecutive_jobs_are_told_by_their_shift_alone() -> None:
    identities = Identities()
    identities.note(assign(EPOCH + 1, [0], count=500))
    identities.note(assign(EPOCH + 501, [500], count=10))
    shift, options = identities.of([EPOCH + 499, EPOCH + 505])
    assert options == {} and shift == -(EPOCH + 1) & NOT_TOLD
    assert told(identities, [EPOCH + 500, EPOCH + 501]) == [499, 500]


def test_attempts_that_are_not_the_first_are_told() -> None:
    identities = Identities()
    identities.note(assign(EPOCH + 1, [0], count=3))
    identities.note(assign(EPOCH + 4, [1], attempts=[2]))
    assert identities.of([EPOCH + 1])[1] == {}
    options = identities.of([EPOCH + 3, EPOCH + 4])[1]
    assert array("I", [1, 2]).tobytes() == options["attempts"]
    identities.keep(EPOCH + 5)
    assert "attempts" not in identities.of([EPOCH + 4])[1]


def test_nothing_told_is_nothing_known() -> None:
    identities = Identities()
    identities.note(assign(EPOCH + 1, [], count=3))
    assert identities.of([EPOCH + 2]) == (NOT_TOLD, {})


@given(st.data())
def test_any_order_of_jobs(data: st.DataObject) -> None:
    identities, token = Identities(), EPOCH + 1
    numbers: dict[int, int] = {}
    for _ in range(data.draw(st.integers(1, 6))):
        if data.draw(st.booleans()):
            first, count = data.draw(st.integers(0, 50)), data.draw(st.integers(1, 9))
            column, batch = list(range(first, first + count)), assign(token, [first], count=count)
        else:
            column = data.draw(st.lists(st.integers(0, 50), min_size=2, max_size=9, unique=True))
            batch = assign(token, column)
        identities.note(batch)
        numbers.update(zip(batch.tokens, column, strict=True))
        token += len(column)
    identities.keep(data.draw(st.sampled_from(sorted(numbers))) if data.draw(st.booleans()) else EPOCH + 1)
    kept = [one for one in numbers if one >= identities._first[0]]
    some = data.draw(st.lists(st.sampled_from(kept), min_size=1, unique=True))
    assert told(identities, some) == [numbers[one] for one in some]
