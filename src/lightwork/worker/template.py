"""A template: a child of the keeper where a computation has been loaded and set up, and which forks workers from there.

What setup made, every worker has, copy on write. The template is a keeper itself, on a channel of its own.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import Any, Dict, List, Optional

from lightwork.wire.channel import TEMPLATE_FAILED, TEMPLATE_READY
from lightwork.worker import failure
from lightwork.worker.jobs import Computation, Environment
from lightwork.worker.link import channel_from_descriptor
from lightwork.worker.output import JobStream, c_flush
from lightwork.worker.process import null_stdin

assert sys.platform != "win32"


def be_template(arenas: Any, slot: int, fields: Dict[str, bytes], given: List[int]) -> None:
    """In the child: load, set up, then serve as a keeper until the agent closes the channel. Never returns."""
    from lightwork.worker.keeper import Keeper

    channel, out, err = given
    null_stdin()
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdout, sys.stderr = JobStream(1, set()), JobStream(2, set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    computation = Computation(fields)
    keeper = Keeper(channel_from_descriptor(channel), arenas)
    ours = os.getpid()
    failed = _prepare(computation, keeper.environment, fields)
    end_copy(ours)
    if failed is None:
        keeper.computations[slot] = computation
        keeper.spare_children()
        gc.collect()
        gc.freeze()
        keeper.send(TEMPLATE_READY, {}, slot)
        keeper.run()
    else:
        keeper.drain(TEMPLATE_FAILED, failed, slot)
        keeper.end_everything()
    flush()
    os._exit(0 if failed is None else 1)


def _prepare(computation: Computation, environment: Environment, fields: Dict[str, bytes]) -> Optional[failure.Fields]:
    during = b"load"
    try:
        place = computation.place
        os.chdir(place.directory)
        sys.path[:0] = [entry for entry in place.path if entry not in sys.path]
        os.environ.update(place.environment)
        computation.load(fields)
        during = b"setup"
        environment.set_up(computation)
    except BaseException as error:  # users' code: whatever it raises is the answer
        failed = failure.exited(error) if isinstance(error, SystemExit) else failure.describe(error)
        failed["during"] = during
        return failed
    finally:
        flush()
    return None


def run_cleanup(computation: Optional[Computation]) -> failure.Fields:
    """Run the cleanup where setup ran; returns the failure's fields, or none."""
    if computation is None or computation.cleanup is None:
        return {}
    ours = os.getpid()
    try:
        os.chdir(computation.place.directory)
        computation.cleanup.run()
    except BaseException as error:  # users' code
        return failure.describe(error)
    finally:
        flush()
        end_copy(ours)
    return {}


def end_copy(ours: int) -> None:
    """Users' code forked and came back in the child too: that is its end, not a second template on our channel."""
    if os.getpid() != ours:
        os._exit(0)


def flush() -> None:
    """What was printed leaves now, and not again in every worker."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: S112  # setup may have put anything there
            continue
    c_flush()(None)
