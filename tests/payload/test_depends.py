"""`depends=`: what is sent, where it lies, and what is refused before anything runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lightwork.model.errors import CannotTravel, UserError
from lightwork.payload.computation import pack_computation
from lightwork.payload.jobfiles import pack_job_files
from tests.payload import elsewhere
from tests.payload.dependencies import DEPENDENCIES, Dependency
from tests.payload.kinds import plain


@pytest.mark.parametrize("row", DEPENDENCIES, ids=lambda row: row.name.replace(" ", "-"))
def test_every_kind_of_depends(row: Dependency, tmp_path: Path):
    assert elsewhere.run(row.computation, depends=row.make(tmp_path)) == row.expected


def paths(depends: object) -> list[str]:
    return sorted(file.path for file in pack_job_files(depends).files)


def test_below_the_current_directory_paths_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "here" / "deep").mkdir(parents=True)
    (tmp_path / "there" / "deep").mkdir(parents=True)
    for path in ("here/deep/a", "here/b", "there/deep/c", "there/d"):
        (tmp_path / path).write_text(path)
    monkeypatch.chdir(tmp_path / "here")
    assert paths(["deep/a", tmp_path / "here" / "b", "../there/d"]) == ["b", "d", "deep/a"]
    assert paths(["deep", "../there"]) == ["deep/a", "there/d", "there/deep/c"]
    assert paths(["."]) == ["b", "deep/a"]


def test_mode_and_time_are_kept(tmp_path: Path):
    path = tmp_path / "tool.sh"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o4755)
    os.utime(path, ns=(5_000_000_001, 5_000_000_001))
    (file,) = pack_job_files([path]).files
    assert (file.path, file.size, file.mode, file.modified_ns) == ("tool.sh", 10, 0o755, 5_000_000_001)


def test_same_content_is_one_blob(tmp_path: Path):
    (tmp_path / "a").write_text("same")
    (tmp_path / "b").write_text("same")
    packed = pack_job_files([tmp_path / "a", tmp_path / "b"])
    assert len(packed.files) == 2
    assert list(packed.blobs.values()) == [b"same"]


def test_large_files_stay_on_disk(tmp_path: Path):
    path = tmp_path / "large"
    path.write_bytes(b"x" * 3_000_000)
    packed = pack_job_files([path])
    assert list(packed.blobs.values()) == [str(path)]
    assert packed.files[0].size == 3_000_000


def test_a_loop_of_links_ends(tmp_path: Path):
    top = tmp_path / "top"
    top.mkdir()
    (top / "file").write_text("x")
    (top / "again").symlink_to(top)
    assert paths([top]) == ["top/file"]


def test_users_list_is_left_alone(tmp_path: Path):
    given = [plain]
    pack_computation(plain, depends=given)
    pack_computation(plain, depends=given)
    assert given == [plain]


@pytest.mark.parametrize(
    ("depends", "sentence"),
    [
        (["no/such.file"], "the file 'no/such.file' that jobs depend on does not exist"),
        (["dangling"], "the file 'dangling' that jobs depend on does not exist (a link to 'nowhere')"),
        (["pipe"], "'pipe' is not a regular file"),
        (["one/same.txt", "two/same.txt"], "would both be 'same.txt' on the node"),
        ("no/such.file", "depends must be a list of files, directories, functions, classes or modules, not str"),
        ([3], "depends has an int, which is neither a file nor code of yours"),
        ([[]], "depends has a list, which is neither a file nor code of yours"),
        ([None], "depends has a NoneType, which is neither a file nor code of yours"),
    ],
)
def test_what_is_refused(depends, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    os.symlink("nowhere", "dangling")
    os.mkfifo("pipe")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same.txt").write_text(name)
    if isinstance(depends, list) and len(depends) == 2:
        depends = [f"../{path}" for path in depends]
    with pytest.raises(UserError) as caught:
        pack_computation(plain, depends=depends)
    assert sentence in str(caught.value)


def test_two_files_for_one_path_are_both_named(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same.txt").write_text(name)
    with pytest.raises(UserError) as caught:
        pack_computation(plain, depends=[tmp_path / "one/same.txt", tmp_path / "two/same.txt"])
    assert str(tmp_path / "one/same.txt") in str(caught.value)
    assert str(tmp_path / "two/same.txt") in str(caught.value)


def test_what_a_dependency_captures_is_named():
    import threading

    lock = threading.Lock()

    def helper():
        return lock

    with pytest.raises(CannotTravel, match=r"the variable 'lock' captured by function .*helper is a lock"):
        pack_computation(plain, depends=[helper])
