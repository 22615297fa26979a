"""What a node gets of a computation: as it is, or with what the session has of its own on that node."""

from __future__ import annotations

from msgspec.structs import replace

from lightwork.scheduler.core.commands import Prepare
from lightwork.scheduler.core.sessions import ComputationRecord, Session
from lightwork.wire.messages import Computation, Tailoring


def prepare(session: Session, record: ComputationRecord, node: str) -> Prepare:
    """The command that makes a node ready for a computation, with what the session has of its own there."""
    record.prepared.add(node)
    share = session.shares.get(node)
    computation = record.computation
    if share is not None and share.tailoring is not None:
        computation = tailored(computation, share.tailoring)
    return Prepare(node, session.name, computation, record.epoch)


def tailored(computation: Computation, own: Tailoring) -> Computation:
    """The computation as one node gets it. Its digest stays: it names the jobs' computation, whatever is beside it."""
    paths = {file.path for file in own.files}
    return replace(
        computation,
        setup=own.setup or computation.setup,
        cleanup=own.cleanup or computation.cleanup,
        setup_source=own.setup_source,
        files=(*(file for file in computation.files if file.path not in paths), *own.files),
        environment=_mixed(computation.environment, own.environment),
    )


def _mixed(ours: str, own: str) -> str:
    """A name of its own for the environment: workers and directory differ, too."""
    return f"{ours[:31]}{own[:32]}" if own else ours
