"""Directories: private, short enough for sockets, refused if they are another's."""

import os
import stat

import pytest

from lightwork.config import paths
from lightwork.model.errors import StartFailed, UserError


def mode(path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_runtime_directory_is_private_and_below_xdg(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")  # short
    monkeypatch.setattr(paths, "private", lambda path: path)
    assert str(paths.runtime_directory()) == "/tmp/lightwork"


@pytest.mark.parametrize("given", ["", "relative", "/" + "x" * 60])
def test_runtime_directory_elsewhere(monkeypatch, given):
    monkeypatch.setenv("XDG_RUNTIME_DIR", given)
    found = paths.runtime_directory()
    assert str(found) == f"/tmp/lightwork-{os.getuid()}"
    assert mode(found) == 0o700
    assert len(os.fsencode(found)) + 1 + 40 < paths.SOCKET_PATH_MAX


def test_an_xdg_directory_that_is_not_ours_is_passed_over(monkeypatch, tmp_path):
    (tmp_path / "lightwork").write_text("")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(paths, "SOCKET_PATH_MAX", 500)
    assert paths.runtime_directory().name == f"lightwork-{os.getuid()}"


def test_private_makes_and_tightens(tmp_path):
    made = paths.private(tmp_path / "a" / "b")
    assert mode(made) == 0o700
    made.chmod(0o755)
    assert mode(paths.private(made)) == 0o700


def test_private_refuses_what_is_no_directory_of_ours(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(StartFailed, match="no directory"):
            paths.private(tmp_path / name)
    with pytest.raises(StartFailed, match="cannot make"):
        paths.private(tmp_path / "file" / "x")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(StartFailed, match="another user"):
        paths.private(tmp_path)


def test_node_directory(monkeypatch, tmp_path):
    seen = []

    def private(path):
        seen.append(path)
        return path

    monkeypatch.setattr(paths, "private", private)
    assert str(paths.node_directory("lab-1")) == f"/var/tmp/lightwork-{os.getuid()}/lab-1"
    assert len(seen) == 2  # the user's own directory is checked, too


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "x" * 65, "a b", "ä", "a\n"])
def test_names_of_nodes_are_checked(name):
    with pytest.raises(UserError):
        paths.node_directory(name)


def test_without_getuid(monkeypatch):
    monkeypatch.delattr(os, "getuid")
    monkeypatch.setenv("LOGNAME", "ann example")
    assert paths.user_tag() == "ann_example"


def test_state_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert paths.state_directory() == tmp_path / "lightwork"
    assert mode(tmp_path / "lightwork") == 0o700
