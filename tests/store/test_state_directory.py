"""A state directory: one scheduler's alone, on a disk of this machine, with an identity that stays."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from lightwork.model.errors import StartFailed
from lightwork.store import state_directory as room
from lightwork.store.filesystems import kind_of, network_filesystem
from lightwork.store.state_directory import StateDirectory
from tests.store.journals import Writer

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /home rw,relatime shared:2 - nfs4 server:/export rw,vers=4.2
31 30 0:41 / /home/local rw - ext4 /dev/vdb rw
32 22 0:42 / /mnt/a\\040b rw - cifs //server/share rw
33 22 0:43 / /data rw - ext4 /dev/vdc rw
34 33 0:44 / /data rw - fuse.sshfs host: rw
garbage
"""


def test_it_is_made_and_closed_to_others(tmp_path):
    path = tmp_path / "a" / "b"
    with StateDirectory(path) as state:
        assert state.path.stat().st_mode & 0o777 == 0o700
        assert state.blobs.is_dir()
        assert state.journal.is_dir()
        assert state.reserve.parent == state.path


def test_its_identity_stays(tmp_path):
    found = []
    for _ in range(3):
        with StateDirectory(tmp_path / "one") as state:
            found.append(state.identity)
    assert len(set(found)) == 1
    assert len(found[0]) == 32
    with StateDirectory(tmp_path / "two") as other:
        assert other.identity != found[0]


def test_its_identity_survives_the_loss_of_one_copy(tmp_path):
    with StateDirectory(tmp_path) as state:
        identity = state.identity
    Writer(tmp_path / "journal").close()
    places = [tmp_path / "identity", tmp_path / "journal" / "identity"]
    for damage in ("missing", "flipped"):
        for place in places:
            if damage == "missing":
                place.unlink()
            else:
                place.write_bytes(bytes([place.read_bytes()[0] ^ 1]) + place.read_bytes()[1:])
            with StateDirectory(tmp_path) as state:
                assert state.identity == identity
    for place in places:
        place.unlink()
    with pytest.raises(StartFailed, match="missing or damaged, and there is a journal"):
        StateDirectory(tmp_path)
    with pytest.raises(StartFailed, match="missing or damaged"):  # the lock was given back
        StateDirectory(tmp_path)


def test_two_identities_are_refused(tmp_path):
    for name in ("one", "two"):
        StateDirectory(tmp_path / name).close()
    (tmp_path / "one" / "identity").write_bytes((tmp_path / "two" / "identity").read_bytes())
    with pytest.raises(StartFailed, match="differ"):
        StateDirectory(tmp_path / "one")


def test_a_second_scheduler_is_refused_and_told_who_has_it(tmp_path):
    code = "import sys; from pathlib import Path; from lightwork.store.state_directory import StateDirectory\n"
    code += "state = StateDirectory(Path(sys.argv[1])); print(flush=True); sys.stdin.read()"
    first = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    first.stdout.readline()
    try:
        with pytest.raises(StartFailed) as caught:
            StateDirectory(tmp_path)
        assert f"process {first.pid} on {platform.node()}" in str(caught.value)
        assert "stop it" in caught.value.hint
    finally:
        first.kill()
        first.communicate()
    StateDirectory(tmp_path).close()  # kill -9 frees it


def test_in_one_process_too(tmp_path):
    with StateDirectory(tmp_path):
        with pytest.raises(StartFailed, match="another scheduler"):
            StateDirectory(tmp_path)
    StateDirectory(tmp_path).close()


def test_a_network_file_system_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "network_filesystem", lambda path: "nfs4")
    with pytest.raises(StartFailed, match=r"network file system \(nfs4\)") as caught:
        StateDirectory(tmp_path)
    assert "a disk of this machine" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/homer/me", "ext4"),
        ("/home/me/state", "nfs4"),
        ("/home", "nfs4"),
        ("/home/local/state", "ext4"),
        ("/mnt/a b/state", "cifs"),
        ("/data/x", "fuse.sshfs"),
    ],
)
def test_the_table_of_mounts(path, kind):
    assert kind_of(path, MOUNTS) == kind


def test_here_is_no_network(tmp_path):
    assert network_filesystem(str(tmp_path)) == ""


@pytest.mark.skipif(sys.platform != "linux" or bool(os.geteuid()), reason="only root may mount")
def test_a_real_mount_is_seen(tmp_path):
    path = tmp_path / "mount point"
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(path)], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        assert kind_of(str(path), Path("/proc/self/mountinfo").read_text()) == "tmpfs"
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_a_place_where_nothing_can_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StartFailed):
        StateDirectory(tmp_path / "file" / "state")
