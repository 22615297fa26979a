"""Another user, as whom jobs run on a node of root's: who that is, and how we touch files that are theirs.

agent, keeper          root: may kill and wait for everything
workers, templates     the user, from before the first line of users' code (worker.user)
programs               the user; who holds them is root
what jobs can write    the user's; we touch it only with the user's rights, for whatever lies there a job may have
                       replaced by a link to a file of root's
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

from msgspec import Struct

from lightwork.model.errors import StartFailed, UserError

Method = TypeVar("Method", bound=Callable[..., Any])
_thread = threading.local()


class JobUser(Struct, frozen=True):
    """Of this machine."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str

    def environment(self) -> dict[str, str]:
        """Variables that say who a process is."""
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name}

    def give(self, path: str | Path | int) -> None:
        """This file (or descriptor), which no job can have touched yet, is theirs."""
        if sys.platform != "win32":
            os.chown(path, self.uid, self.gid)

    def option(self) -> str:
        """As boot.py wants to be told."""
        return ":".join(map(str, (self.uid, self.gid, ",".join(map(str, self.groups)))))


def find_user(name: str) -> JobUser:
    """UserError: there is no such user, or we cannot become them."""
    if sys.platform != "linux":  # elsewhere we cannot touch files with their rights alone
        raise UserError("--job-user works on Linux alone", hint="start the node as that user")
    import pwd

    if os.geteuid() != 0:
        raise UserError(
            f"--job-user {name}: only root can let jobs run as another user",
            hint="leave it out: jobs run as you; or start the node as root",
        )
    try:
        known = pwd.getpwnam(name)
    except KeyError:
        raise UserError(f"--job-user {name}: there is no such user on this machine", hint="useradd makes one") from None
    if known.pw_uid == 0:
        raise UserError(f"--job-user {name}: that is root", hint="name a user who may do less, or leave it out")
    groups = tuple(os.getgrouplist(name, known.pw_gid))
    return JobUser(name, known.pw_uid, known.pw_gid, groups, known.pw_dir)


def check_access(user: JobUser, paths: Iterable[Path]) -> None:
    """StartFailed: their workers could not even read our programs."""
    for path in paths:
        try:
            with acting_as(user):
                os.stat(path)
                with open(path, "rb") if path.is_file() else contextlib.nullcontext():
                    pass
        except PermissionError:
            raise StartFailed(
                f"--job-user {user.name} cannot read {path}",
                hint="install Lightwork and its Python where that user can read them, such as below /opt",
            ) from None


@contextlib.contextmanager
def acting_as(user: JobUser | None) -> Iterator[None]:
    """Touch files with the user's rights and no others: this thread does so until the block ends. (No await inside.)"""
    if user is None or sys.platform != "linux" or getattr(_thread, "acts", False):
        yield
        return
    _set_file_ids(user.uid, user.gid)
    _thread.acts = True
    try:
        yield
    finally:
        _thread.acts = False
        _set_file_ids(0, 0)


def theirs(method: Method) -> Method:
    """Of an object with a `user`: all that it does, it does with the user's rights."""

    @functools.wraps(method)
    def acting(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.user is None:
            return method(self, *args, **kwargs)
        with acting_as(self.user):
            return method(self, *args, **kwargs)

    return cast(Method, acting)


def leave_groups() -> None:
    """Of root's own: what their members may read, a file operation as another user must not."""
    if sys.platform != "win32":
        os.setgroups([])


def _set_file_ids(uid: int, gid: int) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if uid == 0:
        libc.setfsuid(uid)
        libc.setfsgid(gid)
    else:
        libc.setfsgid(gid)
        libc.setfsuid(uid)
    if libc.setfsuid(-1) != uid or libc.setfsgid(-1) != gid:
        raise StartFailed(f"this process cannot act as user number {uid}")
