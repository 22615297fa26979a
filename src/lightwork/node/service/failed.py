"""What follows when a command of the core could not be done: an event, so that nothing waits for its effect."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from lightwork.node.core import commands as do, events as on

Failure = dict[str, bytes]


def failure_of(error: BaseException) -> Failure:
    """An exception of ours as the fields of a failure (wire.outcome)."""
    text = str(error) or traceback.format_exception_only(error)[-1].strip()
    return {"type": type(error).__name__.encode(), "message": text.encode(errors="replace")}


def consequence(command: do.Command, error: BaseException) -> on.Event | None:
    """What the core is told about a command that failed; None if there is nothing that it could make of it."""
    told = _CONSEQUENCES.get(type(command))
    return told(command, failure_of(error)) if told is not None else None


_CONSEQUENCES: dict[type[do.Command], Callable[[Any, Failure], on.Event]] = {
    do.Run: lambda one, failure: on.RunFailed(one.worker, one.tokens, failure),
    do.SpawnProgram: lambda one, failure: on.SpawnFailed(one.worker, failure),
    do.Fork: lambda one, failure: on.SpawnFailed(one.worker, failure),
    do.Load: lambda one, failure: on.LoadFailed(one.worker, one.slot, failure),
    do.PlaceFiles: lambda one, failure: on.PreparationFailed(one.session, one.computation.digest, failure),
    do.RunSetup: lambda one, failure: on.SetupFailed(one.session, one.environment, failure),
    do.FetchJobFiles: lambda one, failure: on.JobFilesFetched(one.batch, failure),
    do.FetchArgument: lambda one, failure: on.ArgumentFetched(one.batch, failure=failure),
    do.CollectOutputs: lambda one, failure: on.OutputsCollected(one.token, []),
    do.CleanSession: lambda one, failure: on.SessionCleaned(one.session, [failure["message"].decode()]),
}
# Nobody waits for these: that they failed is told, and that is all.
UNIMPORTANT = frozenset((do.ForgetJob, do.FreeArgument, do.MeasureMemory, do.Unload))
