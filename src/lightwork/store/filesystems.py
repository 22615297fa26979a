"""Whether a directory lies on a disk of this machine or beyond a network, where locks and syncs are only promises."""

from __future__ import annotations

import os
import re
import sys

_NETWORK = frozenset(
    (
        "afp", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "glusterfs", "gpfs", "lustre", "ncpfs",
        "nfs", "nfs4", "orangefs", "smb3", "smbfs", "webdav",
    )
)  # fmt: skip
_FUSE = re.compile(
    r"fuse\.(?:sshfs|s3fs|rclone|davfs2?|glusterfs|ceph(?:-fuse)?|gvfsd-fuse|goofys|gcsfuse|curlftpfs|.*nfs.*)"
)
_OCTAL = re.compile(r"\\([0-7]{3})")


def network_filesystem(path: str) -> str:
    """The kind of network file system on which it lies; "": on none, as far as can be told."""
    path = os.path.realpath(path)
    if sys.platform == "win32":
        return _windows(path)
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            kind = kind_of(path, file.read())
    except FileNotFoundError:
        kind = _bsd(path)
    return kind if kind in _NETWORK or _FUSE.fullmatch(kind) else ""


def kind_of(path: str, mountinfo: str) -> str:
    """The kind of the file system that holds a path, by the kernel's table of mounts."""
    best, found = -1, ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, kinds = left.split(" "), right.split(" ")
        if len(fields) < 5:
            continue
        place = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
        if is_below(path, place) and len(place) >= best:  # of two at one place, the later one covers the earlier
            best, found = len(place), kinds[0]
    return found


def is_below(path: str, place: str) -> bool:
    """Whether a path is a place or lies below it."""
    return path == place or path.startswith(place.rstrip("/") + "/")


def _bsd(path: str) -> str:
    """macOS and its like: `mount` says "what on /where (kind, ...)"."""
    import subprocess

    try:
        told = subprocess.run(["/sbin/mount"], capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.SubprocessError):  # then it cannot be told
        return ""
    mounts = re.findall(r"^.* on (.*) \((\w+)", told, re.MULTILINE)
    fitting = [(len(place), kind) for place, kind in mounts if is_below(path, place)]
    return max(fitting)[1] if fitting else ""


def _windows(path: str) -> str:
    if sys.platform != "win32":
        return ""
    import ctypes

    remote = 4  # DRIVE_REMOTE
    drive = os.path.splitdrive(path)[0] + "\\"
    return "smbfs" if path.startswith("\\\\") or ctypes.windll.kernel32.GetDriveTypeW(drive) == remote else ""
