"""Every error that a user can meet: whose fault it is, what happened, and what to do.

UserError     your call          JobError      your code, over there
PeerError     the other side     ClusterError  cannot be done now
"""

from __future__ import annotations

from typing import Any


class LightworkError(Exception):
    """Base of all errors of this library; `hint` says what to do about it (may be empty)."""

    hint: str = ""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip())
        if hint:
            self.hint = hint

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}\nhint: {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[LightworkError], args: tuple[Any, ...], state: dict[str, Any]) -> LightworkError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class UserError(LightworkError):
    """The call cannot be carried out as written."""


class WhereError(UserError):
    """A `where=` cannot be read. `position`: of the character in `text` where reading it came to an end."""

    def __init__(self, message: str = "", *, text: str = "", position: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.text = text
        self.position = position


class CannotTravel(UserError):
    """Something cannot be sent to another process."""


class NotInJob(UserError):
    """This function works only inside a running job."""


class ForkedCluster(UserError):
    """A cluster made before fork() cannot be used in the child process."""


class WouldDeadlock(UserError):
    """A callback cannot wait for an unfinished job: callbacks run one after another."""


class ClusterClosed(UserError):
    """The cluster is closed; it takes no more jobs."""


class JobError(LightworkError):
    """A job did not return a value."""


class RemoteTraceback(JobError):
    """The traceback of a job's exception, as it was where it ran; it is the cause of the exception."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0]) if self.args else ""


class RemoteError(JobError):
    """A job raised an exception that could not be sent here; this stands for it."""


class ProgramError(JobError):
    """A program ended with a non-zero exit code."""

    def __init__(self, message: str = "", *, exit_code: int = 1, stderr: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code
        self.stderr = stderr


class JobExit(JobError):
    """A job called sys.exit."""


class JobTimeout(JobError):
    """A job ran past its timeout."""


class JobOutOfMemory(JobError):
    """A job used more memory than its limit."""


class JobCancelled(JobError):
    """The job was cancelled."""


class JobLost(JobError):
    """The job's end is unknown, and it may not be started again."""


class JobPoisoned(JobError):
    """The job killed its workers and is not tried again."""


class JobNotRun(JobError):
    """The job could not be started on its node."""


class ResultCannotTravel(JobError):
    """The job ran, but its result cannot be sent back."""


class SetupFailed(JobError):
    """The computation's setup failed on every node."""


class PeerError(LightworkError):
    """The other side of a connection did something it should not."""


class ProtocolError(PeerError):
    """The other side sent something that is no message of ours."""


class FrameTooLong(ProtocolError):
    """The other side announced a frame over the limit."""


class SaysNothing(ProtocolError):
    """The other side takes connections, and does not say who it is: a stranger, or ours in a bad moment."""


class VersionMismatch(PeerError):
    """The other side speaks a protocol that is too old or too new."""


class WrongCredential(PeerError):
    """The other side does not hold our credential."""


class NodeBusy(PeerError):
    """The node serves another scheduler."""


class AlreadyConnected(PeerError):
    """The node is this scheduler's already, by another address."""


class SessionOver(PeerError):
    """The session is not there any more, or another program has taken it over."""


class LinkBroken(PeerError):
    """The connection to the other side broke."""


class ClusterError(LightworkError):
    """It cannot be done now."""


class SchedulerGone(ClusterError):
    """The scheduler died or cannot be reached."""


class Unreachable(ClusterError):
    """Nobody answers at this address."""


class StartFailed(ClusterError):
    """A process of the cluster could not be started."""


class ArenaFull(ClusterError):
    """No room in shared memory for a large argument or result."""


class CannotBePlaced(ClusterError):
    """No node that is known could ever run the job: it asks for more than any of them has, or for another one."""


class NotReady(ClusterError, TimeoutError):
    """The job has not ended within the time given."""
