"""The two datagrams of discovery, and what is believed of them: strangers gain nothing."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

from hypothesis import given, strategies as st

from lightwork.config.limits import (
    BEACON_ANSWERS_MAX,
    BEACON_HOST_ANSWERS_MAX,
    BEACON_HOST_PORTS_MAX,
    BEACON_PLACES_MAX,
)
from lightwork.wire.beacon import (
    NONCE_SIZE,
    QUESTION_SIZE,
    Answer,
    Answering,
    Asking,
    Question,
    decode,
    encode_answer,
    encode_question,
)
from lightwork.wire.messages import PROTOCOL

NONCE, TAG, KEY = b"n" * NONCE_SIZE, b"t" * 8, b"k" * 32


def question(number: int) -> bytes:
    return encode_question(Question(number.to_bytes(NONCE_SIZE, "big")))


def test_there_and_back() -> None:
    assert decode(encode_question(Question(NONCE))) == Question(NONCE)
    assert decode(encode_answer(Answer(NONCE, TAG, 9701))) == Answer(NONCE, TAG, 9701, PROTOCOL)


def test_an_answer_is_no_longer_than_its_question() -> None:
    assert len(encode_answer(Answer(NONCE, TAG, 65535))) < QUESTION_SIZE == len(encode_question(Question(NONCE)))
    for size in range(QUESTION_SIZE):
        cut = encode_question(Question(NONCE))[:size]
        assert decode(cut) is None
        assert Answering(1, KEY).answer(cut, "a", 0.0) is None


def test_an_answer_tells_port_and_protocol_and_nothing_else() -> None:
    """Two nodes with the same port differ in the tag alone, and a node in the tag from question to question."""
    said = [
        decode(Answering(9701, key).answer(question(number), "a", 0.0) or b"")
        for key, number in ((KEY, 1), (KEY, 2), (b"l" * 32, 1))
    ]
    assert len({answer.tag for answer in said if isinstance(answer, Answer)}) == 3
    assert {answer[2:] for answer in said if answer} == {(9701, PROTOCOL)}


def test_other_versions_and_other_wishes_are_left_alone() -> None:
    good = bytearray(encode_question(Question(NONCE)))
    assert Answering(1, KEY).answer(bytes(good), "a", 0.0)
    for at, value in ((0, 0), (4, 2), (5, 3), (6, 2)):  # magic, version, kind, whom
        bad = bytearray(good)
        bad[at] = value
        assert Answering(1, KEY).answer(bytes(bad), "a", 0.0) is None
    assert decode(bytes(good) + bytes(448)) == Question(NONCE), "a later one may be longer"
    assert decode(bytes(good) + bytes(449)) is None
    assert decode(encode_answer(Answer(NONCE, TAG, 0))) is None, "nobody listens at port 0"


@given(st.binary(max_size=600))
def test_any_bytes(data: bytes) -> None:
    asking = Asking()
    asking.question(NONCE)
    for datagram in (
        data,
        encode_question(Question(NONCE))[:23] + data,
        encode_answer(Answer(NONCE, TAG, 1))[:23] + data,
    ):
        said = decode(datagram)
        assert said is None or len(said.nonce) == NONCE_SIZE
        asking.hear(datagram, "a")
        answer = Answering(1, KEY).answer(datagram, "a", 0.0)
        assert answer is None or len(answer) < len(datagram)


def test_mutations() -> None:
    chance = random.Random(3)
    for good in (encode_question(Question(NONCE)), encode_answer(Answer(NONCE, TAG, 9701))):
        for _ in range(20_000):
            bad = bytearray(good)
            for _ in range(chance.randrange(1, 4)):
                bad[chance.randrange(len(bad))] = chance.randrange(256)
            decode(bytes(bad[: chance.randrange(len(bad) + 1)]))


def test_each_host_is_answered_so_often_a_second_and_no_more() -> None:
    answering = Answering(1, KEY)
    asked = 3 * BEACON_HOST_ANSWERS_MAX
    assert sum(answering.answer(question(n), "loud", 5.0) is not None for n in range(asked)) == BEACON_HOST_ANSWERS_MAX
    assert answering.turned_away
    assert answering.answer(question(1), "quiet", 5.0) is not None, "others are served"
    assert answering.answer(question(asked), "loud", 5.9) is None
    assert answering.answer(question(asked), "loud", 6.1) is not None
    assert not answering.turned_away


def test_all_hosts_together_are_answered_so_often_and_remembered_no_longer() -> None:
    answering = Answering(1, KEY)
    hosts = [f"h{n}" for n in range(50_000)]
    assert sum(answering.answer(question(1), host, 5.0) is not None for host in hosts) == BEACON_ANSWERS_MAX
    assert len(answering._asked) == BEACON_ANSWERS_MAX
    assert answering.answer(question(2), "later", 6.1) is not None
    assert len(answering._asked) == 1


def test_a_question_heard_on_several_ways_is_answered_once() -> None:
    """But again when it is repeated, for the first answer may be lost."""
    answering = Answering(1, KEY)
    assert [answering.answer(question(1), "a", 5.0 + n / 10) is not None for n in range(4)] == [
        True,
        False,
        False,
        False,
    ]
    assert answering.answer(question(1), "a", 6.2) is not None


def test_only_answers_to_the_last_questions_count() -> None:
    asking = Asking()
    nonces = [os.urandom(NONCE_SIZE) for _ in range(4)]
    for nonce in nonces:
        asking.question(nonce)
    unasked = Answer(os.urandom(NONCE_SIZE), TAG, 9701)
    assert asking.hear(encode_answer(unasked), "a") is None
    assert asking.hear(encode_answer(Answer(nonces[0], TAG, 9701)), "a") is None, "too old"
    assert asking.hear(encode_answer(Answer(nonces[1], TAG, 9701)), "a") == Answer(nonces[1], TAG, 9701)
    assert asking.hear(question(1), "a") is None


def wishing(*hosts: str) -> Callable[[str], bool]:
    return lambda host: not hosts or host in hosts


def test_a_node_that_answers_on_several_ways_is_one_place() -> None:
    asking, answering = Asking(), Answering(9701, KEY)
    asked = asking.question(NONCE)
    ways = {"fe80::c%eth0": "fe80::b%eth0", "127.0.0.1": "127.0.0.1", "fd00::c": "fd00::b", "10.5.0.12": "10.5.0.11"}
    answers = [asking.hear(answering.answer(asked, asker, 5.0) or b"", host) for host, asker in ways.items()]
    assert answers[0] is not None
    assert answers[1:] == [None] * 3
    for host in ways:
        assert asking.best(answers[0], wishing(host)) == (host, 9701, PROTOCOL)
    neighbour = asking.hear(Answering(9702, b"l" * 32).answer(asked, "10.5.0.11", 5.0) or b"", "10.5.0.12")
    assert neighbour is not None, "another node of the same machine"
    assert asking.best(neighbour, wishing()) == ("10.5.0.12", 9702, PROTOCOL)


def test_which_of_its_addresses_a_node_is_told_by() -> None:
    asking, hosts = Asking(), ["127.0.0.1", "fe80::c%eth0", "fd00::c", "10.5.0.12", "192.168.3.12"]

    def told(number: int, *hosts: str) -> str:
        answering, nonce = Answering(9701, KEY), number.to_bytes(NONCE_SIZE, "big")
        asked = asking.question(nonce)
        answers = [asking.hear(answering.answer(asked, str(n), 5.0) or b"", host) for n, host in enumerate(hosts)]
        assert answers[0] is not None
        best = asking.best(answers[0], wishing())
        assert best is not None
        return best.host

    assert [told(n, *hosts[: n + 1]) for n in range(4)] == ["127.0.0.1"] * 4, "the one told before"
    asking = Asking()
    assert told(5, *hosts) == "10.5.0.12"
    assert told(6, *reversed(hosts)) == "10.5.0.12", "not now by this way and now by that"
    asking = Asking()
    assert told(6, *reversed(hosts)) == "10.5.0.12", "whatever comes first"
    asking = Asking()
    assert told(7, *hosts[:3]) == "fd00::c"
    asking = Asking()
    assert told(8, *hosts[:2]) == "fe80::c%eth0"


def test_the_best_of_an_old_question() -> None:
    asking = Asking()
    answer = asking.hear(Answering(9701, KEY).answer(asking.question(NONCE), "a", 5.0) or b"", "10.5.0.12")
    assert answer is not None
    for number in range(3):
        asking.question(number.to_bytes(NONCE_SIZE, "big"))
    assert asking.best(answer, wishing()) is None


def test_nobody_makes_an_asker_dial_the_world() -> None:
    asking = Asking()
    asking.question(NONCE)
    forged = [encode_answer(Answer(NONCE, n.to_bytes(8, "big"), 1 + n)) for n in range(20_000)]
    assert sum(asking.hear(answer, "one host") is not None for answer in forged) == BEACON_HOST_PORTS_MAX
    assert asking.turned_away
    taken = sum(asking.hear(answer, f"h{n}") is not None for n, answer in enumerate(forged[5000:], 5000))
    assert taken == BEACON_PLACES_MAX - BEACON_HOST_PORTS_MAX
    asking.question(b"m" * NONCE_SIZE)
    assert asking.hear(encode_answer(Answer(b"m" * NONCE_SIZE, TAG, 1)), "good") is not None
