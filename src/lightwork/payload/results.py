"""The end of an attempt, for its user: a value or an error, the text of that error, and what was printed.

    state, status, bytes --> Ended(value, error, text, stdout, stderr)

An error is the job's own exception where it can be rebuilt here, with the remote traceback as its cause; else one
of model/errors.py that says what happened, where, and what to do.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import msgspec

from lightwork.kit import text
from lightwork.model import errors
from lightwork.model.states import JobState
from lightwork.payload.reading import ArenaReader, unpack_memory, unpack_value
from lightwork.wire import outcome
from lightwork.wire.outcome import Outcome, Stream

STDERR_TAIL = 2000  # characters of it in an error
_STDERR_LINES = 5


class Output(msgspec.Struct, frozen=True):
    """One stream of a job, as text and as it was. What was left out in the middle is counted in both."""

    text: str = ""
    data: bytes = b""
    dropped: int = 0


class Ended(msgspec.Struct):
    """A job's end. `error` is None if it returned a value; `text` is the traceback, or what the error says."""

    value: Any = None
    error: BaseException | None = None
    text: str = ""
    stdout: Output = Output()
    stderr: Output = Output()
    item: int | None = None  # which one of a map chunk failed
    exit_code: int | None = None  # of a program


def unpack_outcome(
    state: JobState,
    status: int,
    data: bytes | memoryview,
    *,
    program: bool = False,
    arena: ArenaReader | None = None,
    apart: memoryview | None = None,
) -> Ended:
    """Read an outcome as Results brings it, with the value that came `apart`, if one did.

    What a job did is in `error`; ValueError if these bytes are no outcome.
    """
    ended = outcome.decode_outcome(bytes(data)) if status & outcome.ENVELOPE else Outcome(bytes(data))
    kind = status & outcome.KIND_MASK
    result = Ended(stdout=output_of(ended.stdout), stderr=output_of(ended.stderr))
    failure = {key: value for key, value in ended.failure.items() if key != "exception"}
    fields = {key: value.decode("utf-8", "backslashreplace") for key, value in failure.items()}
    result.item = int(fields["item"]) if fields.get("item", "").isdecimal() else None
    if state == JobState.FINISHED and program:
        result.value = result.exit_code = 0
    elif state == JobState.FINISHED:
        _read_value(result, lambda: _value_of(status, ended.value, arena, apart))
    else:
        _read_failure(result, state, kind, fields, ended.failure.get("exception", b""), program)
    return result


def _value_of(status: int, value: bytes, arena: ArenaReader | None, apart: memoryview | None) -> Any:
    if status & outcome.IN_ARENA:
        return _from_arena(arena, value)
    if not status & outcome.APART:
        return unpack_value(value)
    if apart is None:
        raise ValueError("it has not come")
    return unpack_memory(apart)


def _read_value(result: Ended, read: Callable[[], Any]) -> None:
    try:
        result.value = read()
    except Exception as error:  # noqa: BLE001 - a __setstate__ of the user's may raise anything
        result.error = errors.ResultCannotTravel(
            f"the job returned a value that cannot be rebuilt here: {type(error).__name__}: {error}",
            hint=_missing_here(error),
        )
        result.error.__cause__ = error
        result.text = str(result.error)


def _from_arena(arena: ArenaReader | None, reference: bytes) -> Any:
    if arena is None:
        raise ValueError("it lies in shared memory that this process does not have")
    return arena.read(*outcome.ARENA_REFERENCE.unpack(reference))


def _missing_here(error: Exception) -> str:
    name = getattr(error, "name", None) if isinstance(error, ImportError) else None
    return f"module '{name}' must be importable in this program too" if name else ""


def _read_failure(
    result: Ended, state: JobState, kind: int, fields: dict[str, str], pickled: bytes, program: bool
) -> None:
    traceback = "" if kind == outcome.UNSENDABLE else fields.get("traceback", "")  # that would be of our own pickling
    if program and fields.get("exit_code", "").lstrip("-").isdecimal():
        result.value = result.exit_code = int(fields["exit_code"])
    if state == JobState.FAILED and kind == outcome.RAISED:
        error: BaseException = _own_exception(fields, pickled)
    else:
        error = _stand_in(result, state, kind, fields, program)
    if traceback:
        error.__cause__ = errors.RemoteTraceback(traceback.rstrip("\n"))
    result.error = error
    result.text = traceback or (str(error) if isinstance(error, errors.LightworkError) else repr(error))
    hint = fields.get("hint", "")
    if hint and hint not in result.text:
        result.text = f"{result.text.rstrip()}\nhint: {hint}"
        if not isinstance(error, errors.LightworkError):
            error.add_note(f"hint: {hint}")


def _own_exception(fields: dict[str, str], pickled: bytes) -> BaseException:
    if pickled:
        try:
            found = unpack_value(pickled)
        except Exception as error:  # noqa: BLE001 - as for values
            reason = f"it cannot be rebuilt here: {type(error).__name__}: {error}"
        else:
            if isinstance(found, BaseException):
                return found
            reason = "what came instead is no exception"
    else:
        reason = "it could not be sent"
    name, message = fields.get("type", "Exception"), fields.get("message", "")
    return errors.RemoteError(
        f"{name}: {message}" if message else name, hint=fields.get("hint") or f"the job's own exception; {reason}"
    )


_BY_STATE: dict[JobState, type[errors.JobError]] = {
    JobState.CANCELLED: errors.JobCancelled,
    JobState.TIMED_OUT: errors.JobTimeout,
    JobState.LOST: errors.JobLost,
    JobState.POISONED: errors.JobPoisoned,
}
_BY_KIND: dict[int, type[errors.JobError]] = {
    outcome.EXITED: errors.JobExit,
    outcome.TIMED_OUT: errors.JobTimeout,
    outcome.OUT_OF_MEMORY: errors.JobOutOfMemory,
    outcome.CANCELLED: errors.JobCancelled,
    outcome.DIED: errors.JobPoisoned,
    outcome.NOT_RUN: errors.JobNotRun,
    outcome.UNSENDABLE: errors.ResultCannotTravel,
}
_BY_TYPE = {made.__name__: made for made in (errors.SetupFailed, errors.CannotBePlaced)}  # of what never ran


def _stand_in(
    result: Ended, state: JobState, kind: int, fields: dict[str, str], program: bool
) -> errors.LightworkError:
    if program and state == JobState.FAILED and kind in (outcome.EXITED, outcome.DIED, outcome.RETURNED):
        return _program_error(result, fields)
    made: type[errors.LightworkError] = _BY_STATE.get(state) or _BY_KIND.get(kind) or errors.RemoteError
    message = fields.get("message", "")
    if kind == outcome.NOT_RUN and fields.get("type") in _BY_TYPE:
        made = _BY_TYPE[fields["type"]]
    elif kind == outcome.NOT_RUN and fields.get("during") == "setup":
        made, message = errors.SetupFailed, f"setup failed: {fields.get('type', 'Exception')}: {message}"
    if not message and kind == outcome.DIED:
        message = f"the job's worker died{_by(fields)}."
    details = [f"peak memory {text.size(int(peak))}"] if (peak := fields.get("peak_memory", "")).isdecimal() else []
    if state == JobState.POISONED and result.stderr.text.strip():
        details.append("its last output on stderr:\n" + tail_of(result.stderr.text))
    return made("; ".join([message or str(made()), *details]), hint=fields.get("hint", ""))


def _program_error(result: Ended, fields: dict[str, str]) -> errors.ProgramError:
    code = 1 if result.exit_code is None else result.exit_code
    ending = f"the program was killed{_by(fields, -code)}" if code < 0 else f"the program ended with exit code {code}"
    tail = tail_of(result.stderr.text)
    message = f"{ending}; its last output on stderr:\n{tail}" if tail else f"{ending}."
    error = errors.ProgramError(
        fields.get("message") or message,
        exit_code=code,
        stderr=result.stderr.text[-STDERR_TAIL:],
        hint=fields.get("hint", ""),
    )
    if tail and tail not in str(error):
        error.add_note(f"its last output on stderr:\n{tail}")
    return error


def _by(fields: dict[str, str], number: int = 0) -> str:
    name = fields.get("signal", "")
    if name.isdecimal():
        number, name = int(name), ""
    if not name and number > 0:
        try:
            name = signal.Signals(number).name
        except ValueError:  # a number this system has no name for
            name = f"signal {number}"
    return f" by {name}" if name else ""


def tail_of(printed: str) -> str:
    """The last lines of some output."""
    return "\n".join(printed.rstrip().splitlines()[-_STDERR_LINES:])[-STDERR_TAIL:]


def output_of(stream: Stream) -> Output:
    """A stream as its reader gets it."""
    if not stream.dropped:
        data = stream.head + stream.tail
    else:
        data = stream.head + f"\n[... {stream.dropped:,} bytes left out ...]\n".encode() + stream.tail
    return Output(data.decode("utf-8", "backslashreplace"), data, stream.dropped)
