"""Where things lie on this machine. Directories are made when asked for, closed to other users.

runtime   sockets and token files        $XDG_RUNTIME_DIR/lightwork, else /tmp/lightwork-UID
state     journal, logs                  the user's state directory
node      spool, cache, jobs of a node   /var/tmp/lightwork-UID/NAME: local to the machine, never a network home;
                                         `lightwork node --directory` names another place than /var/tmp
relay     files that it keeps            /var/tmp/lightwork-UID/.relays/NAME
"""

from __future__ import annotations

import getpass
import os
import re
import stat
import sys
import tempfile
from pathlib import Path

from lightwork.model.errors import StartFailed, UserError

SOCKET_PATH_MAX = 100  # bytes; systems allow 104 to 108
_NAME_MAX = 40  # room that a runtime directory must leave for a socket's name
_NODE_NAME_MAX = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def runtime_directory() -> Path:
    """For sockets and token files: short, private, gone after a restart of the machine."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    if sys.platform == "win32":
        return private(_user_directory("runtime"))
    if given and os.path.isabs(given) and len(os.fsencode(given)) + len("/lightwork/") + _NAME_MAX <= SOCKET_PATH_MAX:
        try:
            return private(Path(given) / "lightwork")
        except StartFailed:  # another user's, after su, or not there at all
            pass
    return private(Path("/tmp") / f"lightwork-{user_tag()}")


def state_directory() -> Path:
    """For what must survive a restart of the machine."""
    return private(_user_directory("state"))


def node_directory(name: str, *, shared: bool = False, base: Path | None = None) -> Path:
    """For one node's files. `shared`: jobs run as another user, who may pass through it to what is theirs; `base`: the
    directory that its owner has named for all that."""
    check_node_name(name)
    if shared:
        return _passable(_passable((base or Path("/var/tmp")) / f"lightwork-{user_tag()}.jobs") / name)
    if base is None and (sys.platform == "win32" or not os.path.isdir("/var/tmp")):
        return private(private(_user_directory("nodes")) / name)
    return private(private((base or Path("/var/tmp")) / f"lightwork-{user_tag()}") / name)


def relay_directory(name: str) -> Path:
    """For the files that a relay keeps; beside those of nodes, none of which can be called like that."""
    check_node_name(name, "relay")
    if sys.platform == "win32" or not os.path.isdir("/var/tmp"):
        return private(private(_user_directory("relays")) / name)
    return private(private(private(Path("/var/tmp") / f"lightwork-{user_tag()}") / ".relays") / name)


def check_node_name(name: str, what: str = "node") -> None:
    """UserError: it names no directory."""
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name for a {what}", hint="letters, digits, dot, dash, underscore; at most 64")


def node_name() -> str:
    """What a node of this machine is called, unless its owner says otherwise: the host's name."""
    import platform

    name = re.sub(r"[^A-Za-z0-9._-]+", "-", platform.node()).lstrip("._-")
    return name[:_NODE_NAME_MAX] or "node"


def further_name(name: str, number: int) -> str:
    """The name of a node beside others that are called the same: NAME-2, NAME-3..."""
    return f"{name[: _NODE_NAME_MAX - 4]}-{number}" if number > 1 else name


def user_name() -> str:
    """Who runs this, for people."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in containers
        return user_tag()


def user_tag() -> str:
    """The user's number, or name where there are no numbers."""
    if sys.platform != "win32" and hasattr(os, "getuid"):
        return str(os.getuid())
    return re.sub(r"[^A-Za-z0-9._-]", "_", getpass.getuser())


def _user_directory(kind: str) -> Path:
    import platformdirs

    if kind == "state":
        return Path(platformdirs.user_state_dir("lightwork", appauthor=False))
    if kind == "runtime":
        return Path(platformdirs.user_runtime_dir("lightwork", appauthor=False))
    return Path(platformdirs.user_cache_dir("lightwork", appauthor=False) or tempfile.gettempdir()) / kind


def private(path: Path) -> Path:
    """Make the directory (0700) unless it is there; refuse one that others own or may write."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            pass
        _check_owner(path)
    except OSError as error:
        raise StartFailed(f"cannot make the directory {path}: {error.strerror or error}") from error
    return path


def _passable(path: Path) -> Path:
    """As `private`, but others may go to what is below, if they know its name and it is theirs."""
    try:
        path.mkdir(mode=0o711, exist_ok=True)
        if not _is_ours(path):
            raise StartFailed(f"{path} is not a directory of ours", hint="remove or rename it")
        os.chmod(path, 0o711)
    except OSError as error:
        raise StartFailed(f"cannot make the directory {path}: {error.strerror or error}") from error
    return path


def _is_ours(path: Path) -> bool:
    status = os.lstat(path)
    return stat.S_ISDIR(status.st_mode) and (sys.platform == "win32" or status.st_uid == os.getuid())


def _check_owner(path: Path) -> None:
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise StartFailed(f"{path} is no directory", hint="name another, or remove it")
    if sys.platform == "win32" or not hasattr(os, "getuid"):
        return
    if status.st_uid != os.getuid():
        raise StartFailed(f"{path} belongs to another user (number {status.st_uid})", hint="remove or rename it")
    if stat.S_IMODE(status.st_mode) & 0o077:
        os.chmod(path, 0o700)
