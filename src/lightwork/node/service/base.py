"""The directory in which a node's owner wants all that it keeps (`lightwork node --directory`), in place of /var/tmp.

<base>/lightwork-UID/NAME/         as below /var/tmp: station_home.py, directories.py
                          run/     its socket, if only its own user can reach it; else that is in the runtime directory

Nobody else may be able to put something in the place of what is there.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path

from lightwork.config import paths
from lightwork.model.errors import UserError
from lightwork.node.service.job_user import JobUser, acting_as
from lightwork.store.filesystems import network_filesystem
from lightwork.transport.address import UNIX, local_address


def base_of(given: str, user: JobUser | None = None, *, make: bool = False) -> Path | None:
    """The directory that is called so; "": None, the usual place. `make`: unless it is there; `user`: who jobs run as.

    UserError: no node can live there.
    """
    if not given:
        return None
    path, option = Path(os.path.realpath(os.path.expanduser(given))), f"--directory {given}"
    try:
        if make:
            _make(path, 0o700 if user is None else 0o711)
        status = os.stat(path)
    except OSError as error:
        hint = "`mkdir -p` makes it" if isinstance(error, FileNotFoundError) else "name another one"
        raise UserError(f"{option}: {error.strerror or error}", hint=hint) from None
    if not stat.S_ISDIR(status.st_mode):
        raise UserError(f"{option} is no directory", hint="name another one")
    _check_owner(status, option)
    kind = network_filesystem(str(path))
    if kind:
        what = f"{option} lies on a network file system ({kind}), where other machines could take it for their own"
        raise UserError(what, hint="name a directory on a disk of this machine")
    if user is not None:
        for above in path.parents:  # whoever may rename it there could put another in its place, which root would use
            _check_owner(os.stat(above), f"{option}: {above}")
        _check_passable(path, user, option)
    return path


def private_address(home: Path, name: str, base: Path | None) -> str:
    """Where a node listens that only its own user can reach. UserError: its path would be too long."""
    if base is None:
        return local_address(paths.runtime_directory(), f"node-{name}")
    address = local_address(paths.private(home / "run"), "node")
    kind, _, path = address.partition(":")
    excess = len(os.fsencode(path)) - paths.SOCKET_PATH_MAX
    if kind == UNIX and excess > 0:
        what = f"--directory {base}: {path} is too long for a unix socket, by {excess} bytes"
        raise UserError(what, hint="name a shorter one; with a secret the node needs no such socket")
    return address


def _make(path: Path, mode: int) -> None:
    with contextlib.suppress(FileExistsError):
        path.mkdir()
        os.chmod(path, mode)


def _check_owner(status: os.stat_result, option: str) -> None:
    if sys.platform == "win32":
        return
    if status.st_uid not in (os.geteuid(), 0):
        what = f"{option} belongs to another user (number {status.st_uid}), who could change what is there"
        raise UserError(what, hint="name a directory of your own, or of root")
    if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
        hint = "`chmod go-w` closes it; `chmod +t`, as /tmp has it, lets each keep their own"
        raise UserError(f"{option}: others may write there, and could change what is there", hint=hint)


def _check_passable(path: Path, user: JobUser, option: str) -> None:
    try:
        with acting_as(user):
            os.stat(os.path.join(path, os.curdir))
    except PermissionError:
        what = f"{option}: jobs of --job-user {user.name} could not get to their files there"
        raise UserError(what, hint="`chmod a+x` for it and all directories above lets them pass") from None
