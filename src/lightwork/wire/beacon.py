"""Who is there? Two datagrams, and what each side believes of them. No I/O.

    question  "LWRK" | version | 1 | whom   | nonce 16 | zeros up to 64 bytes
    answer    "LWRK" | version | 2 | 0      | nonce 16 | tag 8 | port 2 | protocol 2

Anybody may ask and anybody may answer: an answer only says where something of ours may be dialled. Who that is, and
whether it holds our credential, is proven by TLS on the link that follows. So these rules are about harm, not trust:

- An answer is shorter than its question (no gain for who asks in another's name), and each asker, and all together,
  get a limited number in a second.
- An answer counts only if it repeats a nonce that was asked in the last few questions.
- One host may name few ports, and one question brings a limited number of places.
- The tag says which answers *to one question* come from the same node: it hears a question on each of its networks and
  answers on each, and is to be dialled once. It is a keyed digest of the nonce, so the next question's tag tells nobody
  who this was.
"""

from __future__ import annotations

import hashlib
import ipaddress
import struct
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from lightwork.config.limits import (
    BEACON_ANSWERS_MAX,
    BEACON_HOST_ANSWERS_MAX,
    BEACON_HOST_PORTS_MAX,
    BEACON_PLACES_MAX,
)
from lightwork.wire.messages import PROTOCOL

VERSION = 1
NODE = 1  # whom one looks for
NONCE_SIZE = 16
QUESTION_SIZE = 64
WINDOW_S = 1.0  # answers are counted within it; a question repeated within it is not answered again
_MAGIC = b"LWRK"
_QUESTION, _ANSWER = 1, 2
_HEAD = struct.Struct("!4sBBB16s")
_TAIL = struct.Struct("!8sHH")
_ANSWER_SIZE = _HEAD.size + _TAIL.size
_DATAGRAM_MAX = 512  # later versions may say more; nobody reads further
_RECENT = 3  # questions whose answers still count
_WAYS_MAX = 16  # to one node that are compared


class Question(NamedTuple):
    """Somebody looks for programs of this kind."""

    nonce: bytes
    whom: int = NODE


class Answer(NamedTuple):
    """Something listens at this port of the answering host, and speaks this protocol."""

    nonce: bytes
    tag: bytes
    port: int
    protocol: int = PROTOCOL


def encode_question(question: Question) -> bytes:
    """The datagram; its length is the room for an answer."""
    head = _HEAD.pack(_MAGIC, VERSION, _QUESTION, question.whom, question.nonce)
    return head.ljust(QUESTION_SIZE, b"\0")


def encode_answer(answer: Answer) -> bytes:
    """The datagram."""
    head = _HEAD.pack(_MAGIC, VERSION, _ANSWER, 0, answer.nonce)
    return head + _TAIL.pack(answer.tag, answer.port, answer.protocol)


def decode(datagram: bytes) -> Question | Answer | None:
    """What a stranger's datagram says; None: nothing of ours."""
    if not _ANSWER_SIZE <= len(datagram) <= _DATAGRAM_MAX:
        return None
    magic, version, kind, whom, nonce = _HEAD.unpack_from(datagram)
    if magic != _MAGIC or version != VERSION:
        return None
    if kind == _QUESTION and len(datagram) >= QUESTION_SIZE:
        return Question(nonce, whom)
    if kind == _ANSWER:
        tag, port, protocol = _TAIL.unpack_from(datagram, _HEAD.size)
        return Answer(nonce, tag, port, protocol) if port else None
    return None


class Answering:
    """What a node answers: `key` is a secret of this process, made at random."""

    def __init__(self, port: int, key: bytes) -> None:
        self.turned_away = False  # in this second, somebody asked more often than is answered
        self._port, self._key = port, key
        self._window_ends = 0.0
        self._asked: dict[str, set[bytes]] = {}
        self._answers = 0

    def answer(self, datagram: bytes, host: str, now: float) -> bytes | None:
        """The datagram to send back to `host`, if any."""
        said = decode(datagram)
        if type(said) is not Question or said.whom != NODE or not self._admits(said.nonce, host, now):
            return None
        tag = hashlib.blake2b(said.nonce, digest_size=8, key=self._key).digest()
        return encode_answer(Answer(said.nonce, tag, self._port))

    def _admits(self, nonce: bytes, host: str, now: float) -> bool:
        if now >= self._window_ends:
            self._window_ends, self._answers, self._asked = now + WINDOW_S, 0, {}
            self.turned_away = False
        nonces = self._asked.get(host, set())
        if nonce in nonces:
            return False
        if self._answers >= BEACON_ANSWERS_MAX or len(nonces) >= BEACON_HOST_ANSWERS_MAX:
            self.turned_away = True
            return False
        self._asked.setdefault(host, nonces).add(nonce)
        self._answers += 1
        return True


class Place(NamedTuple):
    """Where something of ours may be dialled."""

    host: str
    port: int
    protocol: int


class _Heard:
    """What one question has brought so far."""

    def __init__(self, nonce: bytes) -> None:
        self.nonce = nonce
        self.places: dict[bytes, list[Place]] = {}  # the ways to each node, by tag
        self.hosts: dict[str, int] = {}  # how many nodes each has


class Asking:
    """What an asker believes of the answers to its last few questions."""

    def __init__(self) -> None:
        self.turned_away = False  # since the last question, there were more answers than are looked at
        self._questions: deque[_Heard] = deque(maxlen=_RECENT)
        self._told: set[tuple[str, int]] = set()

    def question(self, nonce: bytes) -> bytes:
        """A new question with a nonce made at random; the oldest one's answers do not count any more."""
        self._questions.append(_Heard(nonce))
        self.turned_away = False
        return encode_question(Question(nonce))

    def hear(self, datagram: bytes, host: str) -> Answer | None:
        """The answer, if it is a node's first to a question of ours. `best` is to be asked soon: others may follow."""
        said = decode(datagram)
        if type(said) is not Answer:
            return None
        for heard in self._questions:
            if heard.nonce == said.nonce:
                return self._take(heard, said, Place(host, said.port, said.protocol))
        return None

    def _take(self, heard: _Heard, said: Answer, place: Place) -> Answer | None:
        ways = heard.places.get(said.tag)
        if ways is not None:
            if len(ways) < _WAYS_MAX:
                ways.append(place)
            return None
        if len(heard.places) >= BEACON_PLACES_MAX or heard.hosts.get(place.host, 0) >= BEACON_HOST_PORTS_MAX:
            self.turned_away = True
            return None
        heard.places[said.tag] = [place]
        heard.hosts[place.host] = heard.hosts.get(place.host, 0) + 1
        return said

    def best(self, answer: Answer, wanted: Callable[[str], bool]) -> Place | None:
        """Of the ways to the node that gave this answer: one that is wanted; the one told before; IPv4, routed."""
        for heard in self._questions:
            if heard.nonce == answer.nonce:
                place = min(heard.places[answer.tag], key=lambda way: self._rank(way, wanted))
                if len(self._told) >= BEACON_PLACES_MAX:
                    self._told.clear()
                self._told.add((place.host, place.port))
                return place
        return None  # so many questions later

    def _rank(self, place: Place, wanted: Callable[[str], bool]) -> tuple[int, ...]:
        address = ipaddress.ip_address(place.host)
        kind = (address.is_loopback, address.version == 6, address.is_link_local)
        new = (place.host, place.port) not in self._told
        return (not wanted(place.host), new, *kind, int(address))  # the number: not now this one, now that
