"""Starts the private scheduler: a child process that outlives nothing and is tied to us by one socket alone.

    this process                                  python -m lightwork.local
      | ---- stdin: one line of JSON ----------------> |   LaunchOptions; no secret is ever in its arguments
      | <--- stdout: one line, "unix:/path" ---------- |   ready; after that nothing more is read or written here
      | <=== link =====================================> |   its end of file means that we are dead
      |      stderr -> scheduler.log                   |   shown if it dies, removed after a clean end

It has its own session (no Ctrl-C of our terminal, no hang-up) and holds none of our streams, so `prog | cat` ends when
prog does. Its directory is ours alone (0700) and holds socket and log.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from lightwork.client import leftovers
from lightwork.client.waiting import say
from lightwork.config import paths
from lightwork.config.timers import START_S
from lightwork.kit.text import span
from lightwork.model.errors import StartFailed
from lightwork.store.arena import Arena

if TYPE_CHECKING:
    from lightwork.client.networking import Network
    from lightwork.client.recovering import DurablePrivate
    from lightwork.security.credential import Credential

# -P: a file of the user's that is called like a standard module must not be imported there.
COMMAND = ("-P", "-m", "lightwork.local")
LOG_TAIL = 4000  # bytes of the log that an error shows
END_S = 5.0  # so long a scheduler may take to be gone after its goodbye


class LaunchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the child reads from its standard input: one line of JSON, an object with exactly these keys.

    slots           how many jobs run at once; null: one for each processor
    name            of the cluster, for people
    session         the session that will connect; also the name of its directories
    directory       for the socket (0700, ours)
    arena_args      descriptor (int) or path (str) of the arena that we write arguments into; null: none
    arena_results   the same for the arena that workers write results into
    size            capacity of each arena in bytes
    apart           scheduler and node agent in two processes
    portable        loopback sockets, no fork, no keeper
    uvloop          true: it must be there; false: asyncio's own loop; null: uvloop if it is there
    parent          our process id
    local           host a node agent too; false: only other machines work
    credential      how we and the nodes know each other (security.credential.Credential); null: no network
    weak_secret     that credential may be used beyond this machine though it can be guessed
    listen          HOST:PORT where nodes may join; "": they cannot
    pulse_s         seconds between two heartbeats of a node; 0: as config.timers says
    ask_s           seconds between two questions to the network; 0: as config.timers says
    state           directory of a durable scheduler (`python -m lightwork.local durable`); "": nothing is kept
    recover         the one session that such a scheduler serves
    """

    slots: int | None
    name: str
    session: str
    directory: str
    arena_args: int | str | None
    arena_results: int | str | None
    size: int
    apart: bool
    portable: bool
    uvloop: bool | None
    parent: int
    local: bool = True
    credential: Credential | None = None
    weak_secret: bool = False
    listen: str = ""
    pulse_s: float = 0.0
    ask_s: float = 0.0
    state: str = ""
    recover: str = ""


def new_session() -> str:
    """A name that no other session has."""
    return f"{os.getpid()}-{os.urandom(4).hex()}"


def from_environment() -> tuple[bool, bool, bool | None]:
    """Apart, portable, uvloop: how the tests force the other ways."""
    flags = [os.environ.get(f"LIGHTWORK_{name}") == "1" for name in ("APART", "PORTABLE", "NO_UVLOOP")]
    return flags[0], flags[1] or sys.platform == "win32", False if flags[2] else None


def session_directory(session: str) -> Path:
    """A new directory that only this user can enter. Those that killed programs left are removed by the way."""
    parent = paths.runtime_directory()
    leftovers.remove(parent)
    return paths.private(parent / session)


class Arenas:
    """The two shared memories of a session, made before the child starts so that it inherits them."""

    def __init__(self, directory: Path, *, portable: bool) -> None:
        where = str(directory) if portable else ""
        self.arguments: Arena | None = None
        self.results: Arena | None = None
        try:
            self.arguments = Arena.create(directory=where)
            self.results = Arena.create(self.arguments.capacity, directory=where)
        except OSError:  # no room for them: then large payloads travel in the messages
            self.close()

    def name_of(self, arena: Arena | None) -> int | str | None:
        """How the child opens it."""
        return None if arena is None else arena.path or arena.descriptor

    @property
    def descriptors(self) -> list[int]:
        """What the child must inherit."""
        found = [self.arguments, self.results]
        return [arena.descriptor for arena in found if arena is not None and not arena.path]

    def close(self, *, keep_results: bool = False) -> None:
        """Let go of both; `keep_results`: somebody may still read there, and closes it then."""
        for arena in (self.arguments, self.results):
            if arena is not None:
                if arena is not self.results or not keep_results:
                    arena.close()
                if arena.path and sys.platform != "win32":  # there, the directory's removal takes what can be taken
                    Path(arena.path).unlink(missing_ok=True)
        self.arguments = self.results = None


class NoArenas:
    """Large payloads travel, and nothing is shared."""

    arguments: Arena | None = None
    results: Arena | None = None

    def close(self, *, keep_results: bool = False) -> None:
        """There is nothing to let go of."""


class Private:
    """A scheduler of our own. Its process starts at once; `tell` it the rest, then `address()` waits until it is up."""

    options: LaunchOptions

    def __init__(self, name: str, session: str) -> None:
        self._name = name.encode("utf-8", "replace").decode()  # a path may be no text
        self._session = session
        self._ways = from_environment()
        self.directory = session_directory(session)
        self.log = self.directory / "scheduler.log"
        self.arenas = Arenas(self.directory, portable=self._ways[1])
        self._began = time.monotonic()
        try:
            self._process = self._start()
        except OSError as error:
            self._remove()
            raise StartFailed(f"The scheduler could not be started: {error}") from None

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable or "python3", *COMMAND]
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        with open(self.log, "wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=self.arenas.descriptors,
                start_new_session=True,
                creationflags=flags,
            )

    def tell(self, network: Network) -> None:
        """What it needs to know. It boots meanwhile, so who calls may take a moment to find that out."""
        apart, portable, uvloop = self._ways
        self.options = LaunchOptions(
            slots=network.slots,
            name=self._name,
            session=self._session,
            directory=str(self.directory),
            arena_args=self.arenas.name_of(self.arenas.arguments),
            arena_results=self.arenas.name_of(self.arenas.results),
            size=self.arenas.arguments.capacity if self.arenas.arguments is not None else 0,
            apart=apart,
            portable=portable,
            uvloop=uvloop,
            parent=os.getpid(),
            local=network.local,
            credential=network.credential,
            weak_secret=network.weak_secret,
            listen=network.listen,
            pulse_s=network.pulse_s,
            ask_s=network.ask_s,
        )
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(msgspec.json.encode(self.options) + b"\n")
            stdin.close()
        except OSError:  # it died at once: `address` tells why
            pass

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._process.pid

    def address(self) -> str:
        """Where it listens; raises StartFailed with the end of its log."""
        stdout = self._process.stdout
        assert stdout is not None
        lines: list[bytes] = []
        reader = threading.Thread(target=_read_line, args=(stdout, lines), daemon=True)
        reader.start()
        reader.join(max(0.0, self._began + START_S - time.monotonic()))
        address = lines[0].decode().strip() if lines else ""
        if not address:
            late = reader.is_alive()
            why = f"it was not up within {span(START_S)}" if late else self._ending(2.0)
            text = "\n".join(filter(None, (f"The scheduler could not be started: {why}.", self._tail())))
            self.kill()
            raise StartFailed(text, hint=f"{sys.executable} -m lightwork.local must be able to run on this machine")
        stdout.close()
        return address

    def _ending(self, wait_s: float) -> str:
        try:
            code = self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            return "it closed its connection"
        if code < 0:
            import signal

            try:
                return f"it was killed by {signal.Signals(-code).name}"
            except ValueError:  # a real-time signal has no name
                return f"it was killed by signal {-code}"
        return f"it ended with exit code {code}"

    def _tail(self) -> str:
        try:
            data = self.log.read_bytes()[-LOG_TAIL:]
        except OSError:  # the log is gone with the directory: then there is nothing to show
            return ""
        return data.decode("utf-8", "backslashreplace").rstrip()

    def obituary(self) -> str:
        """What is known of its death."""
        sentence = f"The scheduler (process {self.pid}) is gone: {self._ending(1.0)}."
        return "\n".join(filter(None, (sentence, self._tail())))  # its last words are there once it has ended

    def end(self, *, clean: bool, keep_results: bool = False) -> None:
        """After the goodbye: wait until it is gone, at most END_S. Only the log of a bad end stays."""
        try:
            code = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            code = -1
        self.kill()
        if code != 0:  # it cannot have removed what its node left
            shutil.rmtree(paths.node_directory(self.options.session), ignore_errors=True)
        self.arenas.close(keep_results=keep_results)
        wanted = bool(os.environ.get("LIGHTWORK_DEBUG"))
        self._remove(keep_log=(wanted or not (clean and code == 0)) and bool(self._tail()))
        if wanted:
            say(f"what the scheduler was told and did is in {self.log}")

    def kill(self) -> None:
        """At once; what is below it notices and ends too."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:  # bytes that the dead child never read
                    pass

    def discard(self) -> None:
        """It was not needed after all."""
        self.kill()
        self._remove()

    def _remove(self, *, keep_log: bool = False) -> None:
        self.arenas.close()
        if not keep_log:
            shutil.rmtree(self.directory, ignore_errors=True)

    def abandon(self) -> None:
        """In a forked child: the process is the parent's child, not ours."""
        self._process.returncode = 0


def _read_line(stream: IO[bytes], lines: list[bytes]) -> None:
    try:
        lines.append(stream.readline())
    except (OSError, ValueError):  # closed under our hands: whoever did that has given up waiting
        pass


def server_of(title: str, recover: str | None) -> Private | DurablePrivate:
    """A scheduler of our own, still to be told what it needs to know: it ends with us, or can be recovered."""
    if recover is None:
        return Private(title, new_session())
    from lightwork.client.recovering import DurablePrivate

    return DurablePrivate(title, recover)
