"""How attempts end that cannot say so themselves: killed by us, by themselves, or a program's exit.

Each becomes a status and an envelope as in wire.outcome, so that the client reads one format only.
"""

from __future__ import annotations

from lightwork.kit.text import size, span
from lightwork.node.core.events import Death
from lightwork.node.core.workers import Verdict
from lightwork.wire.messages import JobOptions
from lightwork.wire.outcome import (
    CANCELLED,
    DIED,
    ENVELOPE,
    EXITED,
    NOT_RUN,
    OUT_OF_MEMORY,
    RETURNED,
    TIMED_OUT,
    Outcome,
    encode_outcome,
)

# Numbers that every system of ours shares; the names are for people.
SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    10: "SIGUSR1",
    11: "SIGSEGV",
    12: "SIGUSR2",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
    24: "SIGXCPU",
    25: "SIGXFSZ",
    31: "SIGSYS",
}
OUSTED = -1  # no end of the job's own: it was ended here, and is lost without its fault
TYPES = {TIMED_OUT: "JobTimeout", OUT_OF_MEMORY: "JobOutOfMemory", CANCELLED: "JobCancelled", DIED: "WorkerDied"}


def envelope(death: Death, failure: dict[str, bytes]) -> bytes:
    """An outcome without a value."""
    return encode_outcome(Outcome(b"", death.stdout, death.stderr, failure))


def own_death(death: Death) -> bytes:
    """The attempt killed its worker: exit code or signal, peak memory and last output say how."""
    cause = f"was killed by {signal_name(death.signal)}" if death.signal else f"exited with code {death.exit_code}"
    failure = {"type": b"WorkerDied", "message": f"the job's process {cause}".encode(), **facts(death)}
    if death.signal == 9:
        failure["hint"] = b"nobody here sent it: the system may have been out of memory"
    return envelope(death, failure)


def lost(reason: str) -> bytes:
    """The attempt's end is unknown, without its fault."""
    return envelope(Death(), {"type": b"JobLost", "message": reason.encode()})


def not_run(failure: dict[str, bytes]) -> tuple[int, bytes]:
    """Status and envelope of an attempt that could not be started."""
    return NOT_RUN | ENVELOPE, envelope(Death(), failure)


def sentenced(verdict: Verdict, death: Death) -> tuple[int, bytes]:
    """Status and envelope of an attempt that we ended."""
    failure = {"type": TYPES[verdict.kind].encode(), "message": verdict.message.encode(), **facts(death)}
    return verdict.kind | ENVELOPE, envelope(death, failure)


def program_end(verdict: Verdict | None, death: Death) -> tuple[int, bytes]:
    """Status and envelope of a program. One that took our signal and still exited with 0 did its work."""
    if verdict is not None and (death.exit_code or death.signal):
        return sentenced(verdict, death)
    code = -death.signal if death.signal else death.exit_code
    failure = {"exit_code": b"%d" % code}
    if code:
        how = f"was killed by {signal_name(death.signal)}" if death.signal else f"exited with code {code}"
        failure |= {"type": b"ProgramError", "message": f"the program {how}".encode(), **facts(death)}
        failure["exit_code"] = b"%d" % code
    return (EXITED if code else RETURNED) | ENVELOPE, envelope(death, failure)


def facts(death: Death) -> dict[str, bytes]:
    """What is known of the process, as fields of a failure."""
    found: dict[str, bytes] = {}
    if death.signal:
        found["signal"] = signal_name(death.signal).encode()
    elif death.exit_code:
        found["exit_code"] = b"%d" % death.exit_code
    if death.peak_bytes:
        found["peak_memory"] = b"%d" % death.peak_bytes
    return found


def signal_name(number: int) -> str:
    """`11` is "SIGSEGV"."""
    return SIGNALS.get(number, f"signal {number}")


def timed_out(token: int, options: JobOptions) -> Verdict:
    """It ran past its timeout."""
    return Verdict(token, TIMED_OUT, f"the job ran longer than its timeout of {span(options.timeout_ns / 1e9)}")


def too_large(token: int, options: JobOptions, used: int) -> Verdict:
    """It and its children use more memory than allowed."""
    message = f"the job used {size(used)} of memory; its limit is {size(options.memory_bytes)}"
    return Verdict(token, OUT_OF_MEMORY, message)


def ousted(token: int, reason: str) -> Verdict:
    """Its node's owner wants the node back; elsewhere it may run again."""
    return Verdict(token, OUSTED, reason, kill=False)


def cancelled(token: int, now: bool) -> Verdict:
    """Its user no longer wants it."""
    return Verdict(token, CANCELLED, "the job was cancelled", kill=now)


NOT_STARTED = envelope(Death(), {"type": b"JobCancelled", "message": b"the job was cancelled before it started"})
