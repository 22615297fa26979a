"""A holder: between the keeper and one program, so that what the program leaves behind is known to be its own.

    keeper --fork--> holder (subreaper) --fork, exec--> program (own session)

The holder waits for the program, kills what is left below itself, writes the program's end into the shared file, exits.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
from typing import Any, Dict, List, Optional, Tuple

from lightwork.wire.outcome import DIED, ENVELOPE, EXITED, RETURNED, Outcome, encode_fields, encode_outcome
from lightwork.wire.shared_file import ENDED, STARTED, STARTED_NS, RingWriter
from lightwork.worker import killing
from lightwork.worker.process import die_with_parent, lift
from lightwork.worker.user import User, become

assert sys.platform != "win32"


def be_holder(fields: Dict[str, bytes], given: List[int], report: int, user: Optional[User] = None) -> None:
    """In the child: start the program and hold it. Never returns."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    token = int(fields["token"])
    try:
        with open(os.fsdecode(fields["shared_file"]), "r+b") as file:
            ring = RingWriter(memoryview(mmap.mmap(file.fileno(), 0)))
        pid, trouble = _start(fields, given, ring, token, user)
    except OSError as error:
        pid, trouble = 0, _trouble(error, error.filename)
    if trouble:
        os.write(report, trouble)
        os._exit(1)
    os.write(report, encode_fields({"pid": b"%d" % pid}))
    os.close(report)
    status, usage = _wait(pid)
    ended = time.monotonic_ns()
    for _ in range(10):
        if killing.reap(0):
            break  # nothing is left of it
        killing.kill_below(os.getpid())
        killing.reap()
    _record(ring, token, ended, status, usage)
    os._exit(0)


def _start(
    fields: Dict[str, bytes], given: List[int], ring: RingWriter, token: int, user: Optional[User]
) -> Tuple[int, bytes]:
    """The program's pid, and what went wrong (fields; empty: it is executing)."""
    reader, writer = os.pipe()
    holder = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _execute(fields, given, ring, token, holder, lift(writer), user)
    os.close(writer)
    for descriptor in given:
        os.close(descriptor)
    trouble = os.read(reader, 4096)
    os.close(reader)
    return pid, trouble


def _trouble(error: OSError, name: Any) -> bytes:
    message = "%s: %s" % (os.fsdecode(name), error.strerror) if name else str(error)
    return encode_fields({"errno": b"%d" % (error.errno or 0), "message": message.encode("utf-8", "replace")})


def _execute(
    fields: Dict[str, bytes],
    given: List[int],
    ring: RingWriter,
    token: int,
    holder: int,
    trouble: int,
    user: Optional[User],
) -> None:
    """Become the program."""
    try:
        os.setsid()
        become(user)
        die_with_parent(holder)
        argv = _numbered(fields, "argv.")
        environment = {os.fsencode(name): value for name, value in os.environb.items()}
        environment.update((os.fsencode(key[4:]), value) for key, value in fields.items() if key[:4] == "env.")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(fields["directory"])
        for target, descriptor in enumerate(given):
            os.dup2(descriptor, target)
        os.closerange(3, min(trouble, 4096))
        ring.words[STARTED_NS] = time.monotonic_ns()
        ring.words[STARTED] = token
        os.execvpe(argv[0], argv, environment)
    except OSError as error:
        os.write(trouble, _trouble(error, error.filename or fields.get("argv.0", b"?")))
    finally:
        os._exit(127)


def _numbered(fields: Dict[str, bytes], prefix: str) -> List[bytes]:
    values: List[bytes] = []
    while "%s%d" % (prefix, len(values)) in fields:
        values.append(fields["%s%d" % (prefix, len(values))])
    return values


def _wait(program: int) -> Any:
    """The program's status and resource usage; orphans that end meanwhile are waited for on the way."""
    while True:
        pid, status, usage = os.wait4(-1, 0)
        if pid == program and (os.WIFEXITED(status) or os.WIFSIGNALED(status)):
            return status, usage


def _record(ring: RingWriter, token: int, ended: int, status: int, usage: Any) -> None:
    """How the program ended: by itself with a code, or by a signal."""
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    failure = {"peak_memory": b"%d" % peak}
    start = ring.words[STARTED_NS]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
        kind, outcome = RETURNED, b""
    else:
        if os.WIFEXITED(status):
            kind = EXITED | ENVELOPE
            failure["exit_code"] = b"%d" % os.WEXITSTATUS(status)
            failure["message"] = b"the program ended with exit code %d" % os.WEXITSTATUS(status)
        else:
            kind = DIED | ENVELOPE
            failure["signal"] = b"%d" % os.WTERMSIG(status)
            failure["message"] = b"the program was killed by signal %d (%s)" % (
                os.WTERMSIG(status),
                _signal_name(os.WTERMSIG(status)).encode(),
            )
        failure["type"] = b"ProgramError"
        outcome = encode_outcome(Outcome(b"", failure=failure))
    ring.words[ENDED] = token
    ring.put(token, start, ended - start, kind, outcome)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
