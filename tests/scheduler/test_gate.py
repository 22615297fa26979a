"""Nothing passes the gate before the fact it waits for is on disk, and nothing overtakes on its way to one receiver."""

from __future__ import annotations

from hypothesis import given, strategies as st

from lightwork.scheduler.core import commands as do
from lightwork.scheduler.core.gate import Gate, destination, of_node, of_session


def _command(kind: int, where: int, after: int, number: int) -> do.Command:
    if kind == 0:
        return do.Accept(f"s{where}", number, after)
    if kind == 1:
        return do.Settle(f"n{where}", [number], after)
    return do.Stop(f"n{where}", [number])  # waits for nothing by itself


STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 9)),
        st.integers(1, 9),
    ),
    max_size=40,
)


@given(STEPS)
def test_order_is_kept_and_nothing_comes_too_early(steps: list[tuple[int, int, int] | int]) -> None:
    gate = Gate()
    given_: list[do.Command] = []
    done: list[do.Command] = []
    reached = 0
    for number, step in enumerate(steps):
        if isinstance(step, int):
            reached = max(reached, step)
            free = gate.durable(step)
        else:
            kind, where, after = step
            command = _command(kind, where, after, number)
            given_.append(command)
            free = gate.admit([command])
        assert all(getattr(one, "after", 0) <= reached for one in free)
        done += free
    done += gate.durable(10)
    assert len(gate) == 0
    for place in {destination(one) for one in given_}:
        assert [one for one in done if destination(one) == place] == [
            one for one in given_ if destination(one) == place
        ]


def test_what_waits_for_a_receiver_that_is_gone_is_forgotten() -> None:
    gate = Gate()
    assert gate.admit([do.Accept("s", 1, 5), do.Settle("n", [1], 5)]) == []
    gate.forget(of_session("s"))
    assert gate.durable(5) == [do.Settle("n", [1], 5)]
    gate.forget(of_node("n"))


def test_who_waits_for_nothing_is_not_held_up_by_others() -> None:
    gate = Gate()
    gate.admit([do.Accept("s", 1, 5)])
    dial = do.Dial("tcp:a:1")
    assert gate.admit([do.Accept("t", 1), dial]) == [do.Accept("t", 1), dial]


def test_that_a_session_is_over_is_not_forgotten_with_its_client() -> None:
    gate = Gate()
    assert gate.admit([do.Accept("s", 1, 3), do.EndSession("s", 4)]) == []
    gate.forget(of_session("s"))
    assert gate.durable(3) == []
    assert gate.durable(4) == [do.EndSession("s", 4)]
