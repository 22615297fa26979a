"""TLS 1.3 between a socket and a Connection, without either: OpenSSL over buffers in memory.

    socket --recv_into--> room() --> incoming --SSLObject.read--> Connection.room() --> frames
    socket <-- data_to_send() <-- outgoing <--SSLObject.write-- Connection.data_to_send()

`TlsLine` has the methods of a Connection's byte side, so loops and threads use it as they use a Connection. Ciphertext
is made only when it is asked for, a write's worth at a time: what is sent meanwhile still overtakes bulk. A listener
makes nothing of OpenSSL's before it has seen the beginning of a handshake, so strangers that stay silent are cheap.

A line that ends without the other side's Goodbye is broken, whether TLS was ended in order or not.
"""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING

from lightwork.config.limits import READ_BUFFER, STRANGER_BYTES_MAX, WRITE_MAX
from lightwork.model.errors import PeerError, ProtocolError
from lightwork.transport import foreign, tls_errors
from lightwork.transport.tls_errors import PROTOCOL
from lightwork.wire.connection import Connection
from lightwork.wire.frames import Buffer, Frame

if TYPE_CHECKING:
    from lightwork.transport.tls import Encryption

_FIRST_BUFFER = 4 << 10  # a handshake fits
_SMALL = 4 << 10  # such pieces are put together, for each write is a record of its own
_TAIL = 16 << 10  # the last words of the handshake do not travel alone


class TlsLine:
    """The byte side of an encrypted link. The lock is for threads: OpenSSL's objects serve one at a time."""

    def __init__(self, connection: Connection, encryption: Encryption, peer: str) -> None:
        self.peer = peer
        self._connection = connection
        self._encryption = encryption
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._buffer = memoryview(bytearray(_FIRST_BUFFER))
        self._lock = threading.Lock()
        self._tls: ssl.SSLObject | None = None  # none yet
        self._shaken = False  # both sides have verified each other, as far as this side knows
        self._heard = 0  # bytes that have come
        self._hello = b""  # of these, as long as they are too few to begin with
        self._ended = False  # nothing more is read
        self._bowed = False  # our end was told
        self._error: PeerError | None = None  # for `judge`
        if not connection.listening:
            role = connection.hello.role
            self._tls = encryption.begin(self._incoming, self._outgoing, listening=False, role=role)
            self._shake(self._tls)

    # --- incoming ---

    def room(self) -> memoryview:
        """Where the next ciphertext is to be received: never empty."""
        return self._buffer

    def received(self, count: int) -> list[Frame]:
        """The messages that the `count` bytes now in `room()` complete."""
        return self.judge(self.cut(count))

    def cut(self, count: int) -> list[Frame]:
        """The first half of `received`: decrypts, and does not touch the state of the connection."""
        frames: list[Frame] = []
        with self._lock:
            if not self._ended:
                self._take(self._buffer[:count], frames)
        if self._connection.peer is None:
            if self._heard > STRANGER_BYTES_MAX and not self._ended:
                self._give_up(ProtocolError(f"{self.peer} sent {self._heard:,} bytes without saying who it is"))
        elif count == len(self._buffer) < READ_BUFFER:
            self._buffer = memoryview(bytearray(min(8 * count, READ_BUFFER)))
        return frames

    def judge(self, frames: list[Frame]) -> list[Frame]:
        """The second half."""
        connection = self._connection
        out = connection.judge(frames)
        if self._error is not None:
            connection.break_off(self._error)
        if connection.error is not None:
            self._ended = True
        return out

    def _take(self, data: memoryview, frames: list[Frame]) -> None:
        begins = self._heard == 0
        self._heard += len(data)
        if begins and not foreign.is_tls(bytes(data[:1]), self._connection.listening):
            self._turn_away(bytes(data))
            return
        self._incoming.write(data)
        tls = self._tls
        if tls is None:
            self._hello += data
            if not self._encryption.whole(self._hello):
                return
            tls = self._encryption.begin(self._incoming, self._outgoing, listening=True, hello=self._hello)
            self._tls, self._hello = tls, b""
        if self._shaken or self._shake(tls):
            self._decrypt(tls, frames)

    def _shake(self, tls: ssl.SSLObject) -> bool:
        """Go on with the handshake; whether it is done."""
        try:
            tls.do_handshake()
            if self._connection.listening:
                self._connection.proven = self._encryption.proven(tls, self.peer)
            self._shaken = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._fail(tls, error)
        return self._shaken

    def _decrypt(self, tls: ssl.SSLObject, frames: list[Frame]) -> None:
        """All that can be read, straight into the connection's buffer."""
        connection, incoming = self._connection, self._incoming
        while not self._ended and connection.reader.error is None and (incoming.pending or tls.pending()):
            room = connection.room()
            filled = self._fill(tls, room)
            if filled:
                frames += connection.cut(filled)
            if filled < len(room):
                break

    def _fill(self, tls: ssl.SSLObject, room: memoryview) -> int:
        """Records are of 16 KB at most, so that a large room takes many of them."""
        size, filled, read, incoming = len(room), 0, tls.read, self._incoming
        try:
            while filled < size and (incoming.pending or tls.pending()):
                count = int(read(size - filled, room[filled:]))
                if not count:  # the other side ends
                    self._ended = True
                    break
                filled += count
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._fail(tls, error)
        return filled

    def _fail(self, tls: ssl.SSLObject, error: ssl.SSLError) -> None:
        credential = self._encryption.credential
        scene = tls_errors.Scene(
            self.peer,
            credential.origin,
            by_secret=bool(credential.secrets),
            listening=self._connection.listening,
            lightwork=self._shaken or tls.selected_alpn_protocol() == PROTOCOL,
        )
        told = tls_errors.explain(error, scene)
        if scene.listening and not self._shaken:
            alert = error.reason in tls_errors.ALERTS
            told = self._encryption.refused(tls, self.peer, told, alert=alert)
        self._give_up(told)

    def _turn_away(self, data: bytes) -> None:
        """This is no TLS."""
        if self._connection.listening:
            self._outgoing.write(foreign.answer(data))
            self._give_up(foreign.client(self.peer, data))
        else:
            self._give_up(foreign.server(self.peer, data))

    def _give_up(self, error: PeerError) -> None:
        self._error, self._ended = error, True

    # --- outgoing ---

    @property
    def has_output(self) -> bool:
        """Whether there may be something to send."""
        if self._outgoing.pending:
            return True
        return self._shaken and self._error is None and (self._connection.has_output or self._has_to_bow)

    @property
    def _has_to_bow(self) -> bool:
        return not self._bowed and (self._connection.closing or self._connection.error is not None)

    def data_to_send(self, most: int = WRITE_MAX) -> list[Buffer]:
        """Ciphertext of control messages of up to `most` bytes, or of one chunk. Take it: it is not kept."""
        with self._lock:
            outgoing, tls = self._outgoing, self._tls
            if tls is not None and self._shaken and self._error is None and outgoing.pending <= _TAIL:
                self._encrypt(tls, self._connection.data_to_send(most))
            return [outgoing.read()] if outgoing.pending else []

    def _encrypt(self, tls: ssl.SSLObject, data: list[Buffer]) -> None:
        for piece in _joined(data):
            sent = tls.write(piece)
            while sent < len(piece):  # OpenSSL may be told to write record by record
                sent += tls.write(memoryview(piece)[sent:])
        if not data and self._has_to_bow:
            self._bow(tls)

    def _bow(self, tls: ssl.SSLObject) -> None:
        self._bowed = True
        try:
            tls.unwrap()
        except ssl.SSLError:  # our end is told; the other side's, or what it had still sent, is not waited for
            pass


def _joined(data: list[Buffer]) -> list[Buffer]:
    """Runs of small pieces as one each, large pieces as they are."""
    if len(data) <= 1:
        return data
    out: list[Buffer] = []
    run: list[Buffer] = []
    for piece in data:
        if len(piece) <= _SMALL:
            run.append(piece)
            continue
        if run:
            out.append(b"".join(run))
            run = []
        out.append(piece)
    if run:
        out.append(b"".join(run))
    return out
