"""`update`, `wait_ready` and `explain`, message by message."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest

from lightwork.model.errors import ClusterError, NotReady, UserError
from lightwork.wire.messages import AskWhy, AwaitReady, Define, Submit, Tailor, Update, Why


def double(n):
    return 2 * n


def triple(n):
    return 3 * n


def prepare(what):
    globals()["WHAT"] = what


def runs(computation, argument):
    call, *_ = pickle.loads(computation.payload)
    return call(argument)


# --- update ---


def test_what_is_submitted_later_is_the_new_one(make):
    cluster, fake = make(double, hold=True)
    fake.replies[Update] = {"total": 3}
    before = cluster.submit(1)
    hurried = cluster.options(timeout=5)
    early = hurried.submit(1)
    assert cluster.update(triple) == 3
    later = [cluster.submit(1), hurried.submit(1), cluster.options(retries=2).submit(1)]
    fake.wait_jobs(5)
    (update,) = fake.told(Update)
    assert runs(update.computation, 1) == 3
    (first, second) = [one.computation for one in fake.told(Define)]
    assert (update.old, update.computation.digest) == (first.digest, second.digest)
    assert runs(first, 1) == 2
    messages = [type(one) for one in fake.messages]
    assert messages.index(Update) > len(messages) - 1 - messages[::-1].index(Define), "defined before"
    fake.end(*fake.jobs)
    assert [job.get() for job in (before, early, *later)] == [2, 2, 3, 3, 3]
    assert [submit.options.timeout_ns for submit in fake.told(Submit)] == [0, 5 * 10**9, 0, 5 * 10**9, 0]


def test_the_same_function_with_other_arguments_of_setup(make):
    cluster, fake = make(double, setup=prepare, setup_args=("one",))
    assert cluster.submit(1)() == 2
    cluster.update(setup_args=("two",))
    cluster.update()
    assert cluster.submit(1)() == 2
    first, second = [one.computation for one in fake.told(Define)]
    third = fake.told(Update)[1].computation
    assert first.environment != second.environment == third.environment
    assert pickle.loads(second.setup)[1] == ("two",)
    assert fake.told(Update)[1].old == second.digest


def test_files_are_read_again(make, tmp_path):
    path = tmp_path / "model.txt"
    path.write_text("one")
    cluster, fake = make(double, depends=[str(path)])
    assert cluster.submit(1)() == 2
    path.write_text("two")
    cluster.update()
    other = tmp_path / "other.txt"
    other.write_text("three")
    cluster.update(triple, depends=str(other))
    assert cluster.submit(1)() == 3
    computations = [fake.told(Define)[0].computation, *(one.computation for one in fake.told(Update))]
    files = [
        {file.path.rpartition("/")[2]: file.digest for file in one.files if file.path.endswith(".txt")}
        for one in computations
    ]
    assert [list(one) for one in files] == [["model.txt"], ["model.txt"], ["other.txt"]]
    assert files[0] != files[1]
    assert len({one.environment for one in computations}) == 3, "no directory gets two contents of one path"
    assert all(cluster._session.blobs.find(digest) for one in files for digest in one.values())


def test_what_nodes_have_of_their_own_is_told_again(make):
    cluster, fake = make(double, setup=prepare, setup_args=("all",))
    cluster.status()
    cluster.resetup_node("here", setup_args=("mine",))
    cluster.update(triple)
    first, second = fake.told(Tailor)
    assert pickle.loads(first.tailoring.setup)[1] == pickle.loads(second.tailoring.setup)[1] == ("mine",)
    messages = [type(one) for one in fake.messages]
    assert messages.index(Update) > messages.index(Tailor, messages.index(Tailor) + 1)


def test_an_update_that_is_refused_changes_nothing(make):
    cluster, fake = make(double)
    fake.replies[Update] = {"error": "the disk is full"}
    with pytest.raises(ClusterError, match="the disk is full"):
        cluster.update(triple)
    assert cluster.submit(1)() == 2
    assert cluster.options(timeout=3).submit(1)() == 2


def test_an_update_that_cannot_be(make):
    cluster, fake = make(double)
    with pytest.raises(UserError, match="no setup"):
        cluster.update(setup_args=(1,))
    with pytest.raises(UserError, match="does not exist"):
        cluster.update(depends="/nowhere/at/all")
    with pytest.raises(UserError, match="computation must be"):
        cluster.update(3)
    assert fake.told(Update) == []
    assert cluster.submit(1)() == 2
    bare, _ = make()
    with pytest.raises(UserError, match="no computation of its own"):
        bare.update(triple)
    prepared, _ = make(double, setup=prepare, setup_args=(1,))
    with pytest.raises(UserError, match="setup_args must be a tuple"):
        wrong: Any = "one"
        prepared.update(setup_args=wrong)


def test_update_in_the_middle_of_a_map(make):
    cluster, fake = make(double)
    results = cluster.map(range(3000), chunksize=1)
    assert next(results) == 0
    cluster.update(triple)
    assert list(results) == [2 * n for n in range(1, 3000)], "it goes on as it began"
    assert list(cluster.map([1, 2])) == [3, 6]
    assert len(fake.told(Update)) == 1


def test_an_update_before_the_first_job(make):
    cluster, fake = make(double)
    cluster.update(triple)
    (update,) = fake.told(Update)
    first, second = [one.computation for one in fake.told(Define)]
    assert (update.old, update.computation) == (first.digest, second)
    assert cluster.submit(1)() == 3


# --- wait_ready ---


def test_the_barrier(make):
    cluster, fake = make(double)
    fake.replies[AwaitReady] = {"nodes": ["lab1", "lab2"]}
    assert cluster.wait_ready() == ["lab1", "lab2"]
    cluster.update(triple)
    assert cluster.wait_ready(2, timeout=5) == ["lab1", "lab2"]
    first, second = fake.told(AwaitReady)
    digests = list(dict.fromkeys(one.computation.digest for one in fake.told(Define)))
    assert ([first.computations, first.nodes], [second.computations, second.nodes]) == (
        [digests[:1], 0],
        [digests[1:], 2],
    )


def test_the_barrier_says_what_it_waits_for(make, capsys):
    cluster, fake = make(double)
    fake.replies[AwaitReady] = lambda message: None
    cluster._session.waits.patience.first_s = 0.2
    with pytest.raises(NotReady, match="waited 500 ms for 2 nodes to have double"):
        cluster.wait_ready(nodes=2, timeout=0.5)
    assert "waiting for 2 nodes to have double since" in capsys.readouterr().err
    fake.replies[AwaitReady] = {"error": "setup of double failed on node lab1"}
    with pytest.raises(ClusterError, match="failed on node lab1"):
        cluster.wait_ready()
    wrong: Any
    for wrong in (0, -1, "all", True, 1.5):
        with pytest.raises(UserError, match="nodes="):
            cluster.wait_ready(wrong)


# --- explain ---


def test_why_a_job_waits(make):
    cluster, fake = make(double, hold=True)
    lines = ["node lab1: memory >= 8G does not hold: memory is 4G", "all 2 slots of node lab2 are busy"]
    fake.replies[AskWhy] = lambda message: {"lines": [*lines, message.session, str(message.job)]}
    cluster.submit(1)
    job = cluster.options(id="mine").submit(1)
    assert job.explain() == cluster.explain(job) == [*lines, cluster._session.name, "1"]
    fake.replies[AskWhy] = {"lines": [], "error": "there is no job 1"}
    with pytest.raises(ClusterError, match="there is no job 1"):
        job.explain()
    fake.wait_jobs(2)
    asked = len(fake.told(AskWhy))
    fake.end(0, 1)
    assert job() == 2
    assert job.explain() == ["job mine has ended on node here: FINISHED"]
    assert len(fake.told(AskWhy)) == asked
    other, _ = make(double)
    with pytest.raises(UserError, match="not of this cluster"):
        other.explain(job)


def test_a_waiting_question_obeys_other_threads(make):
    cluster, fake = make(double, hold=True)
    fake.replies[AskWhy] = lambda message: None
    job = cluster.submit(1)
    found: list[Any] = []

    def ask() -> None:
        try:
            found.append(job.explain())
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    fake.wait(lambda: fake.told(AskWhy))
    fake.send(Why(99, ["of nobody"]))
    fake.die()
    thread.join(20)
    (error,) = found
    assert isinstance(error, ClusterError)
