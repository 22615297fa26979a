"""Files: what goes with a computation, where it lies, what comes back (rows F-J3, F-J11, F-J14, F-I2, F-I4, F-K)."""

from __future__ import annotations

import os
import shutil
import stat
import time
from pathlib import Path
from typing import Any

import pytest

import lightwork
from lightwork import JobState
from tests.e2e.helpers import LIMIT_S, wait_until

OLD = 1_000_000_000


def listing() -> dict[str, tuple[int, int, str]]:
    """mode, time and content of every file below the working directory."""
    found = {}
    for top, _, names in os.walk("."):
        for name in names:
            path = os.path.join(top, name)
            status = os.stat(path)
            with open(path, "rb") as file:
                content = file.read().decode("utf-8", "replace")
            relative = os.path.relpath(path, ".").replace(os.sep, "/")
            if not relative.startswith(".lightwork"):
                found[relative] = (stat.S_IMODE(status.st_mode), int(status.st_mtime), content)
    return found


def where() -> tuple[str, list[str]]:
    return os.getcwd(), sorted(name for name in os.listdir(".") if not name.startswith(".lightwork"))


def inode(name: str) -> tuple[int, float]:
    status = os.stat(name)
    return status.st_ino, status.st_mtime


def make(name: str, text: str) -> None:
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    with open(name, "w") as file:
        file.write(text)


def make_many() -> None:
    make("a.txt", "first")
    make("below/b.txt", "second")
    make("below/c.log", "not wanted")


def send(name: str, text: str) -> str:
    make(name, text)
    os.chmod(name, 0o750)
    os.utime(name, (OLD, OLD))
    lightwork.send_file(name)
    return os.getcwd()


def send_as_it_grows(name: str) -> None:
    for text in ("one", "two", "three"):
        make(name, text)
        lightwork.send_file(name)


def send_outside(path: str) -> None:
    lightwork.send_file(path)


def test_depends_keep_path_mode_and_time(hosted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    work = tmp_path / "work"
    for path, mode in ((work / "deep/er/data.txt", 0o640), (elsewhere / "far/script.sh", 0o755)):
        path.parent.mkdir(parents=True)
        path.write_text(path.name)
        path.chmod(mode)
        os.utime(path, (OLD, OLD))
    monkeypatch.chdir(work)
    depends = [os.path.join("deep", "er", "data.txt"), elsewhere / "far/script.sh"]
    with lightwork.JobCluster(listing, depends=depends, slots=1) as cluster:
        found = cluster.submit().get(LIMIT_S)
    assert found["deep/er/data.txt"] == (0o640, OLD, "data.txt"), "below the current directory: the path is kept"
    assert found["script.sh"] == (0o755, OLD, "script.sh"), "from elsewhere: the name alone"


def test_a_directory_goes_whole(hosted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("data/one.txt", "data/below/two.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(name)
    with lightwork.JobCluster(listing, depends="data", slots=1) as cluster:
        found = cluster.submit().get(LIMIT_S)
    texts = {name: row[2] for name, row in found.items()}
    assert texts == {name: name for name in ("data/one.txt", "data/below/two.txt")}


def test_a_missing_file_is_named_at_once(hosted: str) -> None:
    with pytest.raises(lightwork.UserError, match=r"no-such\.dat"):
        lightwork.JobCluster(listing, depends=["no-such.dat"], slots=1)


def test_a_file_that_goes_away_before_it_is_fetched_is_named(hosted: str, tmp_path: Path) -> None:
    (tmp_path / "fleeting.dat").write_text("x" * (4 << 20))
    with lightwork.JobCluster(listing, slots=1) as cluster:
        submitter = cluster.options(depends=[tmp_path / "fleeting.dat"])
        (tmp_path / "fleeting.dat").unlink()
        job: Any = submitter.submit()
        wait_until(job.finish.is_set, "the job ends")
        assert job.status is JobState.FAILED and "fleeting.dat" in job.exception


def test_the_second_cluster_does_not_ship_what_the_first_depended_on(hosted: str, tmp_path: Path) -> None:
    (tmp_path / "first.txt").write_text("1")
    with lightwork.JobCluster(listing, depends=[tmp_path / "first.txt"], slots=1) as cluster:
        assert list(cluster.submit().get(LIMIT_S)) == ["first.txt"]
    with lightwork.JobCluster(listing, slots=1) as cluster:
        assert cluster.submit().get(LIMIT_S) == {}


def test_each_cluster_has_a_directory_of_its_own_that_goes_with_it(hosted: str, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("1")
    with lightwork.JobCluster(where, depends=[tmp_path / "file.txt"], slots=1) as one:
        with lightwork.JobCluster(where, slots=1) as two:
            (first, names), (second, none) = one.submit().get(LIMIT_S), two.submit().get(LIMIT_S)
    assert first != second and (names, none) == (["file.txt"], [])
    assert not os.path.exists(first) and not os.path.exists(second)


def test_a_relative_dest_path_is_used_again(hosted: str, tmp_path: Path) -> None:
    name = f"test-{os.urandom(6).hex()}"
    data = tmp_path / "data.txt"
    data.write_text("x" * 1000)
    with lightwork.JobCluster(where, depends=[data], dest_path=name, cleanup=False, slots=1) as cluster:
        directory, names = cluster.submit().get(LIMIT_S)
        assert names == ["data.txt"] and Path(directory).name == name
        cluster.options(computation=make).submit("left-by-a-job", "text").get(LIMIT_S)
        first = cluster.options(computation=inode).submit("data.txt").get(LIMIT_S)
    assert sorted(os.listdir(directory))[-2:] == ["data.txt", "left-by-a-job"], "cleanup=False keeps files"
    with lightwork.JobCluster(where, depends=[data], dest_path=name, slots=1) as cluster:
        assert cluster.submit().get(LIMIT_S) == (directory, ["data.txt", "left-by-a-job"])
        assert cluster.options(computation=inode).submit("data.txt").get(LIMIT_S) == first, "it was not written again"
    assert sorted(os.listdir(directory))[-2:] == ["data.txt", "left-by-a-job"], (
        "it goes with the cluster that put it there"
    )
    shutil.rmtree(directory)


def test_a_dest_path_that_we_made_is_removed(hosted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # imports leave files of their own
    data = tmp_path / "data.txt"
    data.write_text("data")
    with lightwork.JobCluster(where, depends=[data], dest_path=tmp_path / "new" / "place", slots=1) as cluster:
        assert cluster.submit().get(LIMIT_S) == (str(tmp_path / "new" / "place"), ["data.txt"])
    assert not (tmp_path / "new" / "place").exists()


def test_changed_files_reach_a_dest_path_that_has_old_ones(hosted: str, tmp_path: Path) -> None:
    data, place = tmp_path / "data.txt", tmp_path / "place"
    for text in ("first", "other"):
        data.write_text(text)
        os.utime(data, (OLD + len(text) + ord(text[0]),) * 2)
        with lightwork.JobCluster(listing, depends=[data], dest_path=place, cleanup=False, slots=1) as cluster:
            assert cluster.submit().get(LIMIT_S)["data.txt"][2] == text


@pytest.mark.parametrize("kind", ["function", "program"])
def test_outputs_come_back_by_job(hosted: str, kind: str, tmp_path: Path) -> None:
    computation: Any = make_many
    arguments: tuple[str, ...] = ()
    if kind == "program":
        script = "mkdir below; printf first > a.txt; printf second > below/b.txt; echo no > below/c.log"
        computation, arguments = "sh", ("-c", script)
    patterns = ["*.txt", "below/*.txt"]
    with lightwork.JobCluster(computation, outputs=patterns, outputs_dir=tmp_path / "out", slots=2) as cluster:
        jobs = [cluster.submit(*arguments) for _ in range(3)]
        jobs.append(cluster.options(id="named").submit(*arguments))
        for job in jobs:
            wait_until(job.finish.is_set, f"{job} ends")
            assert job.status is JobState.FINISHED, job.exception
            below = tmp_path / "out" / str(job.id)
            assert sorted(job.files) == [below / "a.txt", below / "below" / "b.txt"]
            assert [path.read_text() for path in sorted(job.files)] == ["first", "second"]
    assert sorted(os.listdir(tmp_path / "out")) == ["0", "1", "2", "named"]


def test_a_sent_file_keeps_its_relative_path(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with lightwork.JobCluster(send, slots=1) as cluster:
        job = cluster.submit("pictures/one.txt", "sent")
        assert job.get(LIMIT_S) != os.getcwd()
        assert job.files == [tmp_path / "pictures" / "one.txt"]
    status = os.stat("pictures/one.txt")
    assert (stat.S_IMODE(status.st_mode), int(status.st_mtime)) == (0o750, OLD)
    assert Path("pictures/one.txt").read_text() == "sent"


def test_a_sent_file_goes_to_outputs_dir_and_arrives_while_the_job_runs(hosted: str, tmp_path: Path) -> None:
    def send_and_wait(gate: str) -> None:
        make("so-far.txt", "half")
        lightwork.send_file("so-far.txt")
        while not os.path.exists(gate):
            time.sleep(0.01)

    with lightwork.JobCluster(send_and_wait, outputs_dir=tmp_path, slots=1) as cluster:
        job = cluster.submit(str(tmp_path / "gate"))
        wait_until((tmp_path / "so-far.txt").exists, "the file is here")
        assert not job.finish.is_set()
        (tmp_path / "gate").touch()
        job.get(LIMIT_S)


def test_a_file_is_sent_as_it_is_at_that_moment(hosted: str, tmp_path: Path) -> None:
    with lightwork.JobCluster(send_as_it_grows, outputs_dir=tmp_path, slots=1) as cluster:
        job = cluster.submit("grows.txt")
        job.get(LIMIT_S)
        assert (tmp_path / "grows.txt").read_text() == "three"
        assert len(job.files) >= 1


@pytest.mark.parametrize("path", ["/etc/hostname", "../outside.txt"])
def test_files_outside_the_job_s_directory_are_refused(hosted: str, path: str, tmp_path: Path) -> None:
    with lightwork.JobCluster(send_outside, outputs_dir=tmp_path, slots=1) as cluster:
        with pytest.raises(lightwork.UserError, match="outside"):
            cluster.submit(path).get(LIMIT_S)
    assert list(tmp_path.iterdir()) == []
