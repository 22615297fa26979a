"""Who may have a node, and when a lease is over: pure."""

from __future__ import annotations

from lightwork.node.core.claims import Claims
from lightwork.node.core.pulse import Pulse

S = 1_000_000_000


def ask(claims, session, now_s):
    return claims.asked(session, f"{session} of u@h", int(now_s * S), "12:00:01")


def test_one_has_it_and_others_are_told_who():
    claims = Claims(6 * S)
    assert ask(claims, "a", 0) == ""
    assert ask(claims, "a", 1) == ""  # again, over a new link
    assert ask(claims, "b", 2) == "in use by a of u@h since 12:00:01"
    assert ask(claims, "c", 3) == "in use by a of u@h since 12:00:01, with 1 other before you in line"
    assert ask(claims, "d", 3) == "in use by a of u@h since 12:00:01, with 2 others before you in line"
    assert claims.waiting(3 * S) == ["b of u@h", "c of u@h", "d of u@h"]


def test_first_come_first_served():
    claims = Claims(6 * S)
    ask(claims, "a", 0)
    ask(claims, "b", 1)
    ask(claims, "c", 2)
    claims.ended()
    assert "still being cleared of what a of u@h had" in ask(claims, "c", 3)
    assert ask(claims, "a", 3) != ""  # whose claim it was comes last now
    claims.freed()
    assert "kept for b of u@h" in ask(claims, "c", 4)
    assert ask(claims, "b", 4.5) == ""
    assert claims.owner is not None
    assert claims.owner.session == "b"
    assert ask(claims, "c", 5).startswith("in use by b of u@h")
    claims.ended()
    claims.freed()
    assert ask(claims, "a", 6) != ""
    assert ask(claims, "c", 6) == ""


def test_who_does_not_ask_again_loses_its_place():
    claims = Claims(6 * S)
    ask(claims, "a", 0)
    ask(claims, "b", 1)
    ask(claims, "c", 5)
    claims.ended()
    claims.freed()
    assert ask(claims, "c", 6.9) != ""
    assert ask(claims, "c", 7.1) == ""


def test_an_end_without_a_claim_changes_nothing():
    claims = Claims(6 * S)
    claims.ended()
    assert not claims.clearing
    assert ask(claims, "a", 0) == ""


def test_the_lease_counts_from_the_sending_of_what_was_answered():
    pulse = Pulse(10 * S, 0)
    first = pulse.ping(1 * S)
    second = pulse.ping(2 * S)
    assert pulse.left_ns(3 * S) == 7 * S
    pulse.pong(first)  # late
    assert pulse.left_ns(8 * S) == 3 * S
    pulse.pong(second)
    assert pulse.left_ns(8 * S) == 4 * S
    assert pulse.left_ns(12 * S) == 0
    pulse.pong(first)
    pulse.pong(77)
    assert pulse.left_ns(12 * S) == 0


def test_what_was_asked_over_an_old_link_is_not_answered_on_a_new_one():
    pulse = Pulse(10 * S, 0)
    asked = pulse.ping(5 * S)
    pulse.linked()
    pulse.pong(asked)
    assert pulse.left_ns(6 * S) == 4 * S
    pulse.answered(6 * S)
    assert pulse.left_ns(6 * S) == 10 * S


def test_five_silent_beats_and_the_link_is_dead():
    pulse = Pulse(10 * S, 0)
    assert [pulse.beat() for _ in range(3)] == [False] * 3
    pulse.heard()
    assert [pulse.beat() for _ in range(6)] == [False] * 5 + [True]
    pulse.linked()
    assert not pulse.beat()
