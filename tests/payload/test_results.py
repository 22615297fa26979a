"""Outcomes become values, or errors that say what happened, where, and what to do."""

from __future__ import annotations

import pickle

import pytest

from lightwork.model import errors
from lightwork.model.states import JobState
from lightwork.payload.results import Ended, output_of, unpack_outcome
from lightwork.wire import outcome
from lightwork.wire.outcome import Outcome, Stream, encode_outcome

TRACEBACK = """\
Traceback (most recent call last):
  File "a.py", line 2, in work
    1 / 0
ZeroDivisionError: division by zero
"""


class Private(Exception):
    """An error whose class can be found here."""


def ended(
    state: JobState,
    kind: int,
    *,
    value: bytes = b"",
    stdout: bytes = b"",
    stderr: bytes = b"",
    program: bool = False,
    **fields: str | bytes,
) -> Ended:
    failure = {key: field if isinstance(field, bytes) else field.encode() for key, field in fields.items()}
    data = encode_outcome(Outcome(value, Stream(stdout), Stream(stderr), failure))
    return unpack_outcome(state, kind | outcome.ENVELOPE, data, program=program)


def test_a_bare_value():
    assert unpack_outcome(JobState.FINISHED, outcome.RETURNED, pickle.dumps([1, 2])).value == [1, 2]


def test_a_value_with_output():
    got = ended(JobState.FINISHED, outcome.RETURNED, value=pickle.dumps(5), stdout=b"out\xff\n", stderr="é".encode())
    assert (got.value, got.error, got.text) == (5, None, "")
    assert (got.stdout.text, got.stdout.data) == ("out\\xff\n", b"out\xff\n")
    assert got.stderr.text == "é"


def test_output_with_a_hole():
    got = output_of(Stream(b"begin", b"end", 1_234_567))
    assert got.text == "begin\n[... 1,234,567 bytes left out ...]\nend"
    assert got.data == got.text.encode()


def test_the_jobs_own_exception_with_the_remote_traceback():
    got = ended(
        JobState.FAILED, outcome.RAISED, exception=pickle.dumps(Private("x", 3)), traceback=TRACEBACK, item="17"
    )
    assert isinstance(got.error, Private)
    assert got.error.args == ("x", 3)
    assert isinstance(got.error.__cause__, errors.RemoteTraceback)
    assert "1 / 0" in str(got.error.__cause__)
    assert got.text == TRACEBACK
    assert got.item == 17


@pytest.mark.parametrize(
    ("pickled", "hint"),
    [
        (b"", "it could not be sent"),
        (b"\x80\x05\x8c\x0bno_such_mod\x8c\x01X\x93.", "No module named 'no_such_mod'"),
        (b"garbage", "cannot be rebuilt here"),
        (pickle.dumps(3), "is no exception"),
    ],
)
def test_an_exception_that_cannot_be_here(pickled: bytes, hint: str):
    got = ended(
        JobState.FAILED, outcome.RAISED, exception=pickled, type="their.Error", message="bad", traceback=TRACEBACK
    )
    assert isinstance(got.error, errors.RemoteError)
    assert got.error.args[0] == "their.Error: bad"
    assert hint in got.error.hint
    assert isinstance(got.error.__cause__, errors.RemoteTraceback)


@pytest.mark.parametrize(
    ("state", "kind", "error"),
    [
        (JobState.FAILED, outcome.EXITED, errors.JobExit),
        (JobState.TIMED_OUT, outcome.TIMED_OUT, errors.JobTimeout),
        (JobState.FAILED, outcome.OUT_OF_MEMORY, errors.JobOutOfMemory),
        (JobState.CANCELLED, outcome.CANCELLED, errors.JobCancelled),
        (JobState.CANCELLED, outcome.RAISED, errors.JobCancelled),
        (JobState.POISONED, outcome.DIED, errors.JobPoisoned),
        (JobState.LOST, outcome.DIED, errors.JobLost),
        (JobState.LOST, outcome.NOT_RUN, errors.JobLost),
        (JobState.FAILED, outcome.NOT_RUN, errors.JobNotRun),
        (JobState.FAILED, outcome.UNSENDABLE, errors.ResultCannotTravel),
    ],
)
def test_every_kind_of_end(state: JobState, kind: int, error: type):
    got = ended(state, kind, message="this happened", hint="do that")
    assert type(got.error) is error
    assert str(got.error) == "this happened\nhint: do that"
    assert got.text == str(got.error)
    silent = ended(state, kind)
    assert str(silent.error)


def test_setup_failed():
    got = ended(JobState.FAILED, outcome.NOT_RUN, type="SetupFailed", message="setup raised", traceback=TRACEBACK)
    assert type(got.error) is errors.SetupFailed
    assert "1 / 0" in str(got.error.__cause__)
    got = ended(JobState.FAILED, outcome.NOT_RUN, type="KeyError", message="'x'", during="setup", traceback=TRACEBACK)
    assert type(got.error) is errors.SetupFailed
    assert str(got.error) == "setup failed: KeyError: 'x'"


def test_a_poisoned_job_says_how_it_died():
    got = ended(
        JobState.POISONED, outcome.DIED, stderr=b"one\ntwo\nlast words\n", signal="SIGSEGV", peak_memory="1048576"
    )
    text = str(got.error)
    assert "SIGSEGV" in text
    assert "1.0 MiB" in text
    assert "last words" in text


def test_programs():
    assert ended(JobState.FINISHED, outcome.RETURNED, program=True).value == 0
    got = ended(JobState.FAILED, outcome.EXITED, program=True, exit_code="3", stderr=b"cannot open\nfile\n")
    assert (got.value, got.exit_code) == (3, 3)
    assert isinstance(got.error, errors.ProgramError)
    assert (got.error.exit_code, got.error.stderr) == (3, "cannot open\nfile\n")
    assert "exit code 3" in str(got.error)
    assert "cannot open\nfile" in str(got.error)


@pytest.mark.parametrize("fields", [{"exit_code": "-11"}, {"exit_code": "-11", "signal": "SIGSEGV"}])
def test_a_program_killed_by_a_signal(fields: dict[str, str]):
    got = ended(
        JobState.FAILED, outcome.EXITED, program=True, exit_code=fields["exit_code"], signal=fields.get("signal", "")
    )
    assert "was killed by SIGSEGV" in str(got.error)
    assert got.value == -11


def test_a_program_that_was_stopped_is_no_program_error():
    got = ended(JobState.TIMED_OUT, outcome.TIMED_OUT, program=True, message="ran past its timeout of 1 s")
    assert isinstance(got.error, errors.JobTimeout)
    assert got.value is None


def test_a_value_that_cannot_be_rebuilt_here():
    got = ended(JobState.FINISHED, outcome.RETURNED, value=b"\x80\x05\x8c\x0bno_such_mod\x8c\x01X\x93.")
    assert isinstance(got.error, errors.ResultCannotTravel)
    assert "no_such_mod" in got.error.hint
    assert isinstance(got.error.__cause__, ModuleNotFoundError)


def test_an_envelope_that_is_none():
    with pytest.raises(ValueError, match="no header"):
        unpack_outcome(JobState.FINISHED, outcome.RETURNED | outcome.ENVELOPE, b"short")


def test_shared_memory_that_is_not_here():
    got = unpack_outcome(JobState.FINISHED, outcome.RETURNED | outcome.IN_ARENA, bytes(16))
    assert "lies in shared memory that this process does not have" in str(got.error)
