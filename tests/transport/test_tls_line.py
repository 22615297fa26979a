"""Encryption without sockets: bytes cut anywhere, changed anywhere; what it writes, keeps and leaves behind."""

import gc
import os
import random
import ssl
import tempfile
import threading
from pathlib import Path

import pytest

from lightwork.config.limits import CHUNK, STRANGER_BYTES_MAX, WRITE_MAX
from lightwork.model.errors import ProtocolError, UserError
from lightwork.security.credential import Credential
from lightwork.transport.tls import Encryption
from lightwork.transport.tls_line import TlsLine
from lightwork.wire.connection import Connection
from lightwork.wire.messages import AskStatus, Fetch, Goodbye, Taken
from tests.security.certificates import make
from tests.transport.links import CLIENT, SCHEDULER, Zeros, encryption


class Side:
    """A connection with its line."""

    def __init__(self, listening: bool, cipher: Encryption | None = None) -> None:
        self.talk = Connection(SCHEDULER if listening else CLIENT, listening=listening)
        self.line = (cipher or encryption()).line(self.talk, "peer:1")
        self.got: list = []

    def output(self, most: int = WRITE_MAX) -> bytes:
        """All that it wants to send."""
        out = b""
        while data := self.line.data_to_send(most):
            out += b"".join(data)
        return out

    def feed(self, data: bytes, sizes=(1 << 20,)) -> None:
        """In pieces of these sizes, over and over."""
        view, turn = memoryview(data), 0
        while view:
            room = self.line.room()
            size = min(sizes[turn % len(sizes)], len(room), len(view))
            room[:size] = view[:size]
            self.got += self.line.received(size)
            view, turn = view[size:], turn + 1


def pair() -> tuple[Side, Side]:
    """Both up."""
    dialler, listener = Side(False), Side(True)
    while dialler.line.has_output or listener.line.has_output:
        listener.feed(dialler.output())
        dialler.feed(listener.output())
    assert dialler.talk.peer == SCHEDULER
    assert listener.talk.peer == CLIENT
    return dialler, listener


@pytest.mark.parametrize("sizes", [(1,), (7, 1, 300), (1 << 20,)])
def test_bytes_may_be_cut_anywhere(sizes):
    chance = random.Random(1)
    dialler, listener = Side(False), Side(True)
    frames = [(Taken(n), chance.randbytes(chance.choice([0, 10, 5000, 40_000]))) for n in range(12)]
    for message, body in frames:
        dialler.talk.send(message, body)
        listener.talk.send(message, body)
    while dialler.line.has_output or listener.line.has_output:
        listener.feed(dialler.output(), sizes)
        dialler.feed(listener.output(), sizes)
    assert dialler.got == listener.got == frames


def test_nothing_is_said_in_clear():
    marker = os.urandom(20)
    dialler, listener = Side(False), Side(True)
    dialler.talk.send(Taken(1), marker * 50)
    listener.talk.send(Taken(2), marker * 50)
    seen = b""
    while dialler.line.has_output or listener.line.has_output:
        there = dialler.output()
        listener.feed(there)
        back = listener.output()
        dialler.feed(back)
        seen += there + back
    assert listener.got == [(Taken(1), marker * 50)]
    assert len(seen) > 2000
    assert marker not in seen
    for word in (b"client", b"scheduler"):
        assert word not in seen


def test_control_goes_before_bulk_and_at_most_one_chunk_waits():
    dialler, listener = pair()
    number = dialler.talk.fetch("blob", "x")
    listener.feed(dialler.output())
    assert listener.got == [(Fetch(number, "blob", "x"), b"")]
    listener.talk.serve(number, Zeros(10 * CHUNK))
    for count in range(3):
        piece = b"".join(listener.line.data_to_send())
        assert CHUNK < len(piece) < CHUNK + 1000
        listener.talk.send(AskStatus(count))
        assert len(b"".join(listener.line.data_to_send())) < 100
        dialler.feed(piece)


def test_many_small_messages_are_one_record():
    dialler, listener = pair()
    for number in range(100):
        dialler.talk.send(Taken(number))
    data = dialler.line.data_to_send()
    assert len(data) == 1
    plain = Connection(CLIENT, listening=False)
    assert len(data[0]) < 100 * 20 + 100
    listener.feed(b"".join(data))
    assert len(listener.got) == 100
    assert plain.peer is None


def test_a_write_is_bounded():
    dialler, listener = pair()
    body = bytes(5 << 20)
    dialler.talk.send(Taken(1), body)
    sizes = []
    while data := dialler.line.data_to_send(WRITE_MAX):
        sizes.append(sum(map(len, data)))
        listener.feed(b"".join(data))
    assert max(sizes) <= WRITE_MAX * 1.02
    assert listener.got == [(Taken(1), body)]


@pytest.mark.parametrize("where", ["handshake", "later"])
def test_a_changed_byte_ends_the_line(where):
    chance = random.Random(3)
    for _ in range(60):
        dialler, listener = pair() if where == "later" else (Side(False), Side(True))
        dialler.talk.send(Taken(1), bytes(3000))
        if where == "later":
            data = dialler.output()
        else:
            listener.feed(dialler.output())
            dialler.feed(listener.output())
            data = dialler.output()
        at = chance.randrange(len(data))
        listener.feed(
            data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :], (chance.randrange(1, 5000),)
        )
        assert listener.got == []
        if listener.talk.error is None:  # a length that grew: more is waited for
            listener.feed(bytes(70_000))
        assert isinstance(listener.talk.error, ProtocolError)
        listener.output()
        assert not listener.line.has_output
        listener.feed(bytes(100_000))


def test_words_before_the_end_are_heard_and_both_ends_are_told():
    dialler, listener = pair()
    dialler.talk.send(Taken(1))
    dialler.talk.close("bye")
    data = dialler.output()
    assert not dialler.line.has_output
    listener.feed(data)
    assert listener.got == [(Taken(1), b""), (Goodbye("bye"), b"")]
    assert listener.talk.error is None
    assert listener.line._ended  # the other side's end of TLS was heard
    listener.feed(b"more")


def test_a_stranger_may_send_little():
    _, listener = Side(False), Side(True)
    listener.feed(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(10))  # a greeting that never ends
    fed = 21
    while listener.talk.error is None and fed < 4 * STRANGER_BYTES_MAX:
        listener.feed(bytes(1000))
        fed += 1000
    assert listener.talk.error is not None
    assert fed <= STRANGER_BYTES_MAX + 2000


def test_a_silent_stranger_costs_no_tls():
    listener = Side(True)
    assert listener.line._tls is None
    assert not listener.line.has_output
    assert listener.line.data_to_send() == []
    assert len(listener.line.room()) <= 4096


def test_the_buffer_grows_with_the_work():
    dialler, listener = pair()
    assert len(listener.line.room()) <= 4096
    dialler.talk.send(Taken(1), bytes(8 << 20))
    listener.feed(dialler.output())
    assert len(listener.line.room()) == 256 << 10


def test_two_threads_may_read_and_write():
    """As in a blocking link: cut without its lock, judge and data_to_send with it."""
    dialler, listener = pair()
    count, lock = 300, threading.Lock()
    for number in range(count):
        listener.talk.send(Taken(number), bytes(20_000))
    incoming, outgoing = listener.output(), bytearray()

    def write() -> None:
        for number in range(count):
            with lock:
                dialler.talk.send(Taken(number), bytes(20_000))
                while data := dialler.line.data_to_send():
                    outgoing.extend(b"".join(data))

    writer = threading.Thread(target=write)
    writer.start()
    view, got = memoryview(incoming), []
    while view:
        room = dialler.line.room()
        size = min(len(room), len(view))
        room[:size] = view[:size]
        frames = dialler.line.cut(size)
        with lock:
            got += dialler.line.judge(frames)
        view = view[size:]
    writer.join()
    listener.feed(bytes(outgoing))
    expected = [Taken(number) for number in range(count)]
    assert [message for message, _ in got] == [message for message, _ in listener.got] == expected


# --- contexts and keys ---


def test_the_key_is_never_on_disk_in_clear(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []
    real = ssl.SSLContext.load_cert_chain

    def watching(context, certfile, keyfile=None, password=None):
        seen.append((Path(certfile).read_text(), Path(certfile).stat().st_mode & 0o777))
        assert os.listdir(tmp_path) == [Path(certfile).name]
        return real(context, certfile, keyfile, password)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watching)
    made = make()
    Encryption(Credential(certificate=made.pem, key=made.key_pem(), authorities=made.pem, origin="x"))
    assert len(seen) == 2
    for text, mode in seen:
        assert "ENCRYPTED PRIVATE KEY" in text
        assert "BEGIN PRIVATE KEY" not in text
        assert mode == 0o600
    assert os.listdir(tmp_path) == []


def test_a_key_that_openssl_refuses_leaves_no_file(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    one, other = make("a"), make("b")
    with pytest.raises(UserError, match=r"the certificate from a\.crt cannot be used: .*mismatch"):
        Encryption(Credential(certificate=one.pem, key=other.key_pem(), authorities=one.pem, origin="a.crt"))
    assert os.listdir(tmp_path) == []


def test_only_tls_1_3_no_tickets_no_names_both_verify():
    cipher = encryption()
    for context in (cipher._dialling, cipher._listening):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_3
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert not context.check_hostname
        assert context.cert_store_stats()["x509"] == 1  # ours alone
    assert cipher._listening.num_tickets == 0
    dialler, _ = pair()
    assert dialler.line._tls is not None
    assert dialler.line._tls.version() == "TLSv1.3"
    assert not dialler.line._tls.session_reused


def test_lines_leave_nothing_behind():
    gc.collect()
    before = sum(isinstance(one, TlsLine) for one in gc.get_objects())
    for _ in range(10):
        pair()
    gc.collect()
    assert sum(isinstance(one, TlsLine) for one in gc.get_objects()) <= before + 1
