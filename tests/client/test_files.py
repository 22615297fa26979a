"""Files that jobs send back, and files that nodes ask for."""

from __future__ import annotations

import hashlib
import os
import sys
import time

import pytest

from lightwork.client.files import directory_name, target_of
from lightwork.model.errors import ClusterError, UserError
from lightwork.model.states import JobState
from lightwork.wire.messages import File, SentFile, Submit, Taken


def double(n):
    return 2 * n


def file_of(path, data, **more):
    return File(path, hashlib.blake2b(data, digest_size=16).hexdigest(), len(data), **more)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../../x", "", "a//b", "./a", "a/.", "a\0b", "..", "a/b/../c", "/"]
)
def test_a_file_lands_below_its_directory_or_nowhere(tmp_path, path):
    with pytest.raises(ClusterError):
        target_of(tmp_path, path)


def test_good_paths_are_kept(tmp_path):
    assert target_of(tmp_path, "a/b c/ü.txt") == tmp_path / "a" / "b c" / "ü.txt"
    assert target_of(tmp_path, "...") == tmp_path / "..."


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_links_are_not_followed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "link").symlink_to(tmp_path / "out")
    with pytest.raises(ClusterError, match="link"):
        target_of(tmp_path / "base", "link/x")


@pytest.mark.parametrize(
    ("job_id", "name"),
    [
        (3, "3"),
        ("a b", "a b"),
        ("a/b", "a_b"),
        ("..", "7"),
        ("", "7"),
        ((1, 2), "(1, 2)"),
        ("x\n", "x_"),
        (None, "None"),
    ],
)
def test_a_directory_for_each_job(job_id, name):
    assert directory_name(job_id, 7) == name


def test_outputs_are_written_before_the_job_ends(make, tmp_path):
    cluster, fake = make(double, hold=True, outputs="*.txt", outputs_dir=tmp_path / "out")
    data = b"x" * 300_000
    fake.files = {"7/0": data, "7/1": b"small"}
    job = cluster.submit_job_id("first", 1)
    fake.wait_jobs(1)
    files = [file_of("a/large.txt", data, mode=0o640, modified_ns=10**18), file_of("small.txt", b"small")]
    fake.end(0, files=[(0, files)], tokens=[7])
    assert job() == 2
    large = tmp_path / "out" / "first" / "a" / "large.txt"
    assert large.read_bytes() == data
    assert (tmp_path / "out" / "first" / "small.txt").read_bytes() == b"small"
    assert sorted(job.files) == [large, tmp_path / "out" / "first" / "small.txt"]
    assert large.stat().st_mtime_ns == 10**18
    if sys.platform != "win32":
        assert large.stat().st_mode & 0o777 == 0o640
    fake.wait(lambda: any(message.spooled == [7] for message in fake.told(Taken)))
    assert not list(tmp_path.rglob("*.part"))


def test_a_sent_file_goes_to_the_current_directory(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cluster, fake = make(double, hold=True)
    monkeypatch.chdir("/")
    job = cluster.submit(1)
    fake.wait_jobs(1)
    fake.files["5/0"] = b"half"
    fake.send(SentFile(0, "5/0", file_of("plots/one.png", b"half")))
    fake.wait(lambda: (tmp_path / "plots" / "one.png").exists())
    assert job.status == JobState.QUEUED
    fake.end(0)
    assert job() == 2
    assert job.files == [tmp_path / "plots" / "one.png"]


def test_the_end_waits_for_files_sent_before_it(make, tmp_path):
    ended = []
    cluster, fake = make(double, hold=True, outputs_dir=tmp_path, callback=lambda job: ended.append(job.files))
    job = cluster.submit(1)
    fake.wait_jobs(1)
    fake.files["5/0"] = b"y" * 200_000
    with fake._lock:  # nothing of the file goes out before the end has
        fake.send(SentFile(0, "5/0", file_of("big", fake.files["5/0"])))
        fake.end(0)
        time.sleep(0.1)
        assert job.status == JobState.QUEUED
    assert cluster.wait(10)
    assert job.status == JobState.FINISHED
    assert ended == [[tmp_path / "big"]]


@pytest.mark.parametrize("large_first", [True, False])
def test_of_two_files_for_one_place_the_last_one_stays(make, tmp_path, large_first):
    """They come together, and the small one is whole first."""
    cluster, fake = make(double, hold=True, outputs_dir=tmp_path)
    jobs = [cluster.submit(n) for n in range(2)]
    fake.wait_jobs(2)
    sizes = [1_000_000, 10] if large_first else [10, 1_000_000]
    fake.files |= {f"5/{number}": bytes([number]) * size for number, size in enumerate(sizes)}
    with fake._lock:  # nothing of the files goes out before all is said
        for number in range(2):
            told = file_of("state", fake.files[f"5/{number}"], modified_ns=(number + 1) * 10**18)
            fake.send(SentFile(number, f"5/{number}", told))
        fake.end(0)
        fake.end(1)
        time.sleep(0.1)
    assert cluster.wait(10)
    assert [job.files for job in jobs] == [[tmp_path / "state"]] * 2
    assert (tmp_path / "state").read_bytes() == bytes([1]) * sizes[1]
    assert (tmp_path / "state").stat().st_mtime_ns == 2 * 10**18
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


@pytest.mark.parametrize("how", ["missing", "outside", "wrong", "unwritable"])
def test_a_file_that_cannot_be_written_fails_its_job(make, tmp_path, capfd, how):
    cluster, fake = make(double, hold=True, outputs_dir=tmp_path / "out")
    job = cluster.submit(1)
    fake.wait_jobs(1)
    fake.files["5/0"] = None if how == "missing" else b"other" if how == "wrong" else b"data"
    if how == "unwritable":
        (tmp_path / "out").write_text("a file where a directory should be")
    path = "../escaped" if how == "outside" else "name"
    fake.end(0, files=[(0, [file_of(path, b"data")])], tokens=[5])
    job()
    assert job.status == JobState.FAILED
    with pytest.raises(ClusterError) as caught:
        job.get()
    assert str(caught.value).split("\n")[0] in capfd.readouterr().err
    assert not list(tmp_path.rglob("*.part"))
    assert not (tmp_path / "escaped").exists()


def test_nodes_are_served_what_jobs_depend_on(make, tmp_path):
    large, small = os.urandom(700_000), b"small"
    (tmp_path / "large.bin").write_bytes(large)
    (tmp_path / "small.bin").write_bytes(small)
    cluster, fake = make(double, hold=True, depends=[str(tmp_path / "large.bin"), str(tmp_path / "small.bin")])
    cluster.submit(1)
    fake.wait_jobs(1)
    files = fake.jobs[0].computation.files
    streams = {fake.fetch("blob", file.digest): file for file in files}
    missing = fake.fetch("blob", "0" * 32)
    spool = fake.fetch("spool", "1/1")
    fake.wait(lambda: len(fake.done_streams) == len(streams) + 2)
    got = {file.path.split("/")[-1]: fake.received[stream] for stream, file in streams.items()}
    assert (got["large.bin"], got["small.bin"]) == (large, small)
    assert "no file" in fake.received[missing]
    assert "no file" in fake.received[spool]
    fake.end(0)


def test_a_job_s_own_depends_go_with_it_alone(make, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    cluster, fake = make(double, hold=True)
    cluster.options(depends=str(tmp_path / "mine.txt")).submit(1)
    cluster.submit(2)
    fake.wait_jobs(2)
    assert [len(message.options.files) for message in fake.told(Submit)] == [1, 0]
    stream = fake.fetch("blob", fake.jobs[0].options.files[0].digest)
    fake.wait(lambda: stream in fake.done_streams)
    assert fake.received[stream] == b"mine"
    with pytest.raises(UserError):
        cluster.options(depends=str(tmp_path / "none.txt"))


def test_a_file_that_nobody_waits_for_is_given_back(make, tmp_path):
    cluster, fake = make(double, hold=True, outputs_dir=tmp_path)
    job = cluster.submit(1)
    fake.wait_jobs(1)
    fake.end(0)
    assert job() == 2
    fake.send(SentFile(0, "17/0", file_of("late", b"late")))
    fake.wait(lambda: any(17 in message.spooled for message in fake.told(Taken)))
    assert not list(tmp_path.iterdir())
