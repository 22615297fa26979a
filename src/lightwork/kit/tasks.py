"""The only place that makes asyncio tasks.

The loop itself keeps a weak reference to a task: one that nobody holds may vanish in the middle, and its exception is
told to nobody. Here a task is held until it ends, and an exception reaches a handler at once.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
OnError = Callable[[BaseException, str], None]

_alive: set["asyncio.Task[Any]"] = set()


def spawn(work: Coroutine[Any, Any, T], name: str, on_error: OnError | None = None) -> "asyncio.Task[T]":
    """Run `work` beside the caller. `on_error(exception, name)` hears of its failure, or else the loop's own handler.

    Cancellation is no failure. The caller may also await the task, and then gets the exception as well.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)
    _alive.add(task)
    task.add_done_callback(lambda ended: _report(ended, name, on_error))
    return task


def _report(task: "asyncio.Task[Any]", name: str, on_error: OnError | None) -> None:
    _alive.discard(task)
    if task.cancelled():
        return
    error = task.exception()
    if error is None:
        return
    if on_error is not None:
        on_error(error, name)
    else:
        context = {"message": f"task {name!r} failed", "exception": error, "task": task}
        task.get_loop().call_exception_handler(context)


async def stop(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel and wait until each has really ended. What they raise has gone to their handlers already."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
