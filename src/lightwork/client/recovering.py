"""The private scheduler of `JobCluster(recover="name")`: it outlives us, and we take it up again.

    STATE/place.json names a living process ──yes──> connect there
          │ no                                          │ nobody answers, and the process is gone
          v                                             v
    python -m lightwork.local durable  <────────────────┘      told by one line of JSON, answers with its address

STATE is `<state directory>/clusters/NAME`: journal, log, and how the scheduler was started, for who attaches without
knowing that. A session that was closed leaves nothing there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from lightwork.client.launch import COMMAND, END_S, LOG_TAIL, LaunchOptions, NoArenas, from_environment
from lightwork.client.waiting import say
from lightwork.config import paths, places
from lightwork.config.timers import START_S
from lightwork.kit.text import span
from lightwork.model.errors import StartFailed, Unreachable, UserError
from lightwork.security.secret import VARIABLE
from lightwork.transport.blocking import BlockingLink
from lightwork.transport.dial import connect
from lightwork.wire.messages import Hello

if TYPE_CHECKING:
    from lightwork.client.networking import Network

PLACE = "place.json"  # where it is, written by itself
LAUNCH = "launch.json"  # how it was started, written by us; no secret is in it
LOG = "scheduler.log"
_LOOK_S = 0.02
KEPT = "slots", "local", "listen", "pulse_s", "ask_s"  # options that a running scheduler does not change


def check_name(name: str) -> None:
    """UserError: no session can be called so."""
    if not isinstance(name, str):
        raise UserError(f"recover={name!r} must be text.")
    paths.check_node_name(name, "session to be recovered")


def state_of(name: str) -> Path:
    """Where the state of a recoverable JobCluster lies; perhaps it is not there."""
    check_name(name)
    return paths.state_directory() / "clusters" / name


def names() -> list[str]:
    """Of all that this user can take up again."""
    parent = paths.state_directory() / "clusters"
    found = sorted(parent.iterdir()) if parent.is_dir() else []
    return [path.name for path in found if (path / "journal").is_dir()]


def launched(name: str) -> dict[str, Any]:
    """How the scheduler of this session was started last; empty if nobody knows."""
    try:
        found = msgspec.json.decode((state_of(name) / LAUNCH).read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return found if isinstance(found, dict) else {}


class DurablePrivate:
    """A scheduler of our own that outlives us: `tell` it what it needs to know, and it starts; then `dial`."""

    options: LaunchOptions

    def __init__(self, name: str, recover: str) -> None:
        self.arenas = NoArenas()
        self.where = f"the scheduler of {recover!r}"
        self.title = name.encode("utf-8", "replace").decode()  # a path may be no text
        self.session = recover
        self._state = state_of(recover)
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: places.Place | None = None  # the last that lived
        self._began = 0.0
        self._log_from = 0
        self._address = ""

    def _place(self) -> places.Place | None:
        """Of one that lives."""
        place = places.read(self._state / PLACE)
        if place is None or not place.lives:
            return None
        self._seen = place
        return place

    def _start(self) -> None:
        paths.private(self._state.parent)
        paths.private(self._state)
        log = os.open(self._state / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._log_from = os.fstat(log).st_size
        self._began = time.monotonic()
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        try:
            self._process = subprocess.Popen(
                [sys.executable or "python3", *COMMAND, "durable"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={name: value for name, value in os.environ.items() if name != VARIABLE},  # it outlives us
                start_new_session=True,
                creationflags=flags,
            )
        except OSError as error:
            raise StartFailed(f"The scheduler could not be started: {error}") from None
        finally:
            os.close(log)

    def tell(self, network: Network) -> None:
        """What it needs to know, now and whenever it is started again."""
        _, portable, uvloop = from_environment()
        self.options = LaunchOptions(
            slots=network.slots,
            name=self.title,
            session=self.session,
            directory=str(self._state),
            arena_args=None,
            arena_results=None,
            size=0,
            apart=True,
            portable=portable,
            uvloop=uvloop,
            parent=os.getpid(),
            local=network.local,
            credential=network.credential,
            weak_secret=network.weak_secret,
            listen=network.listen,
            pulse_s=network.pulse_s,
            ask_s=network.ask_s,
            state=str(self._state),
            recover=self.session,
        )
        place = self._place()
        if place is None:
            self._start()
            self._write()
            return
        self._address = place.address
        before = launched(self.session)
        others = [name for name in KEPT if name in before and before[name] != getattr(self.options, name)]
        if others:
            told = ", ".join(f"{name}={before[name]!r}" for name in others)
            say(f"{self.where} runs already, with {told}; what is said now counts when it is started again")

    def _write(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        known = msgspec.structs.replace(self.options, credential=None)
        (self._state / LAUNCH).write_bytes(msgspec.json.encode(known) + b"\n")
        try:
            self._process.stdin.write(msgspec.json.encode(self.options) + b"\n")
            self._process.stdin.close()
        except OSError:  # it died at once: whoever waits for its address hears why
            pass

    def dial(self, hello: Hello) -> BlockingLink:
        """A link to it, wherever it is by now; it is started if it is nowhere. StartFailed: it cannot be."""
        if self._address:
            try:
                return connect(self._address, hello)
            except Unreachable:
                if self._lives():
                    raise
        place = self._place()
        if place is not None:  # somebody else has started it
            self._address = place.address
            return connect(self._address, hello)
        if self._process is None or self._address or self._process.poll() is not None:
            self._start()
            self._write()
        self._address = self._answer()
        return connect(self._address, hello)

    def _lives(self) -> bool:
        """Whether it is there, or was and its process has not ended yet."""
        if self._process is not None and self._process.poll() is None:
            return True
        return self._place() is not None or (self._seen is not None and self._seen.lives)

    def _answer(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        lines: list[bytes] = []
        stdout = self._process.stdout
        try:
            reader = threading.Thread(target=_read_line, args=(stdout, lines), daemon=True)
            reader.start()
            reader.join(max(0.0, self._began + START_S - time.monotonic()))
            late = reader.is_alive()
        except RuntimeError:  # the interpreter is on its way out, and starts no threads any more
            _read_line(stdout, lines)
            late = False
        address = lines[0].decode().strip() if lines else ""
        if address:
            stdout.close()
            return address
        why = f"it was not up within {span(START_S)}" if late else "it gave up"
        text = "\n".join(
            filter(None, (f"The scheduler of {self.session!r} could not be started: {why}.", self._tail()))
        )
        self._address = ""
        self._end_process()
        raise StartFailed(text)

    def _tail(self) -> str:
        try:
            data = (self._state / LOG).read_bytes()[self._log_from :][-LOG_TAIL:]
        except OSError:  # gone with its directory: then there is nothing to show
            return ""
        return data.decode("utf-8", "backslashreplace").rstrip()

    def _end_process(self) -> None:
        """One that is not up yet: it has promised nothing."""
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                process.terminate()
            _let_go(process)

    # --- the end ---

    def end(self, *, clean: bool, keep_results: bool = False) -> None:
        """After the goodbye: wait until it is gone, at most END_S. It has emptied its directory itself."""
        if not clean:
            self.leave()
            return
        deadline = time.monotonic() + END_S
        while self._lives() and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        try:
            self._state.rmdir()
        except OSError:  # it is somebody's again already
            pass
        self.leave()

    def leave(self) -> None:
        """It goes on without us."""
        process, self._process = self._process, None
        if process is not None:
            _let_go(process)

    def discard(self) -> None:
        """It was not needed after all: one that nobody used ends by itself."""
        self.leave()

    abandon = leave  # in a forked child the process is the parent's


def _let_go(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except OSError:  # bytes that a dead child never read
                pass
    if process.poll() is None:
        process.returncode = 0  # nobody waits for it: it is not ours any more


def _read_line(stream: IO[bytes], lines: list[bytes]) -> None:
    try:
        lines.append(stream.readline())
    except (OSError, ValueError):  # closed under our hands: whoever did that has given up waiting
        pass
