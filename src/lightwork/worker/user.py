"""Another user as whom workers, templates and programs run, under a keeper of root's."""

from __future__ import annotations

import os
import sys
from typing import List, NamedTuple, Optional

from lightwork.worker.process import be_dumpable


class User(NamedTuple):
    """By numbers."""

    uid: int
    gid: int
    groups: List[int]


def parse(option: str) -> Optional[User]:
    """`UID:GID:GROUP,GROUP...`; empty: nobody else."""
    if not option:
        return None
    uid, gid, groups = option.split(":")
    return User(int(uid), int(gid), [int(group) for group in groups.split(",") if group])


def become(user: Optional[User]) -> None:
    """For good: there is no way back to root. (What shall happen at a parent's death must be said again.)"""
    if user is None or sys.platform == "win32":
        return
    os.setgroups(user.groups)
    os.setgid(user.gid)
    os.setuid(user.uid)
    if os.getuid() != user.uid or os.geteuid() != user.uid:
        raise OSError("this process could not become user number %d" % user.uid)
    be_dumpable()
