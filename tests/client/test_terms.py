"""What is said to a shared scheduler about the session itself, over each link; and questions over links that break."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lightwork.client import attaching, ending
from lightwork.client.shared import SharedJobCluster
from lightwork.model.errors import UserError
from lightwork.wire.messages import (
    Answer,
    AskHosts,
    AskWhy,
    AwaitReady,
    ChangeHosts,
    Define,
    Hosts,
    HostStatus,
    Submit,
    Terms,
    Update,
    Why,
)
from tests.client.fake_durable import FakeDurable


def double(n: int) -> int:
    return 2 * n


def triple(n: int) -> int:
    return 3 * n


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDurable]:
    made: list[SharedJobCluster] = []
    with FakeDurable(tmp_path) as fake:
        fake.made = made  # type: ignore[attr-defined]
        yield fake
        for cluster in made:
            if not cluster._closed:  # of a test that failed
                cluster._closed = True
                ending.remove(cluster)
                cluster._session.sever()


def on(fake: FakeDurable, **options: Any) -> SharedJobCluster:
    cluster = SharedJobCluster(double, scheduler=fake.address, **options)
    fake.made.append(cluster)  # type: ignore[attr-defined]
    return cluster


def break_link(fake: FakeDurable) -> int:
    """Break it, and wait for the next; how many messages there were before."""
    links = len(fake.hellos)
    fake.cut()
    before = len(fake.messages)
    fake.wait(lambda: len(fake.hellos) > links and len(fake.messages) > before)
    return before


def test_terms_are_the_first_word_over_each_link(fake: FakeDurable) -> None:
    fake.hold = True
    with on(fake, weight=2, exclusive=True) as cluster:
        jobs = [cluster.submit(n) for n in range(5)]
        fake.wait(lambda: len(fake.now.entries) == 5)
        assert fake.messages[0] == Terms(2.0, True)
        assert len(fake.told_of(Terms)) == 1
        before = break_link(fake)
        assert fake.messages[before] == Terms(2.0, True)
        fake.finish()
        assert [job() for job in jobs] == [0, 2, 4, 6, 8]
        cluster.submit(9)
        fake.wait(lambda: fake.now.next == 6)
        before = break_link(fake)
        assert fake.messages[before] == Terms(2.0, True)
        fake.finish()
    assert len(fake.told_of(Terms)) == 3


def test_what_is_as_usual_is_not_said(fake: FakeDurable) -> None:
    with on(fake, weight=1.0, exclusive=False) as cluster:
        assert cluster.submit(1)() == 2
    assert fake.told_of(Terms) == []


def test_a_later_run_of_the_program_takes_it_back(fake: FakeDurable) -> None:
    for options, terms in [({"weight": 5, "exclusive": True}, Terms(5.0, True)), ({}, Terms())]:
        cluster = on(fake, recover="nightly", **options)
        assert cluster.submit(1)() == 2
        assert fake.told_of(Terms)[-1] == terms
        cluster._leave()
    assert len(fake.told_of(Terms)) == 2
    cluster = attaching.attach("nightly", scheduler=fake.address)  # type: ignore[assignment]
    cluster.close()
    assert len(fake.told_of(Terms)) == 2, "who only attaches leaves them as they are"


@pytest.mark.parametrize("wrong", [{"weight": 0}, {"weight": "2"}, {"exclusive": 1}, {"exclusive": None}])
def test_wrong_terms(fake: FakeDurable, wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        on(fake, **wrong)
    assert fake.hellos == []


def test_jobs_say_where_and_when_they_want_to_run(fake: FakeDurable) -> None:
    with on(fake, priority=3, where="cpus >= 2", resources={"licence": 1}) as cluster:
        assert cluster.submit(1)() == 2
        assert cluster.options(priority=-3, wait_for_nodes=True).submit(1)() == 2
    first, second = [submit.options for submit in fake.told_of(Submit)]
    assert (first.priority, first.where, first.resources, first.wait_for_nodes) == (
        3,
        "slots >= 2",
        (("licence", 1),),
        False,
    )
    assert (second.priority, second.where, second.wait_for_nodes) == (-3, "slots >= 2", True)


def asked_over_a_broken_link(fake: FakeDurable, kind: type, ask: Any) -> Any:
    """Ask, and break the link before there is an answer; what comes then."""
    fake.mute.add(kind)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(ask()))
    thread.start()
    fake.wait(lambda: fake.told_of(kind))
    fake.cut()
    fake.mute.discard(kind)
    thread.join(20)
    assert len(fake.told_of(kind)) == 2, "asked again over the next link"
    assert len({message.number for message in fake.told_of(kind)}) == 1
    return found[0]


@pytest.mark.slow
def test_questions_are_asked_again_over_the_next_link(fake: FakeDurable) -> None:
    fake.hold = True
    fake.replies = {
        Update: lambda message: Answer(message.number, total=7),
        AwaitReady: lambda message: Answer(message.number, nodes=["far"]),
        ChangeHosts: lambda message: Answer(message.number, nodes=["far"]),
        AskHosts: lambda message: Hosts(message.number, [HostStatus("far")]),
        AskWhy: lambda message: Why(message.number, ["because"]),
    }
    with on(fake) as cluster:
        job = cluster.submit(1)
        assert asked_over_a_broken_link(fake, ChangeHosts, lambda: cluster.drain("far")) == ["far"]
        assert asked_over_a_broken_link(fake, AskHosts, cluster.hosts) == [HostStatus("far")]
        assert asked_over_a_broken_link(fake, AskWhy, job.explain) == ["because"]
        assert asked_over_a_broken_link(fake, AwaitReady, cluster.wait_ready) == ["far"]
        assert asked_over_a_broken_link(fake, Update, lambda: cluster.update(triple)) == 7
        kinds = [type(message) for message in fake.messages]
        last = len(kinds) - 1 - kinds[::-1].index(Update)
        defined = [
            message.computation.digest
            for message in fake.messages[kinds.index(Update) + 1 : last]
            if isinstance(message, Define)
        ]
        assert fake.messages[last].computation.digest in defined, "defined over the new link, too"
        before = break_link(fake)
        again = [message for message in fake.messages[before:] if isinstance(message, Define)]
        assert [one.computation.digest for one in again] == [fake.messages[last].computation.digest], "the old no more"
        later = cluster.submit(1)
        fake.wait(lambda: fake.now.next == 2)
        fake.finish()
        assert (job(), later()) == (2, 3)


def test_a_job_that_is_not_on_disk_yet_cannot_be_explained(fake: FakeDurable) -> None:
    fake.hold = True
    fake.replies = {AskWhy: lambda message: Why(message.number, ["because"])}
    with on(fake) as cluster:
        fake.slow = True
        job = cluster.submit(1)
        told = [f"job 0 is on its way to the scheduler at {fake.address}, which has not written it down yet"]
        assert job.explain() == told
        fake.slow = False
        fake.write()
        assert job.explain() == ["because"]
        fake.finish()
        assert job() == 2


def test_without_a_link_nobody_waits_to_hear_why(fake: FakeDurable) -> None:
    fake.hold = True
    with on(fake) as cluster:
        job = cluster.submit(1)
        fake.wait(lambda: fake.now.next == 1)
        fake.down()
        fake.wait(lambda: cluster._session.unreachable)
        assert job.explain() == [f"the scheduler at {fake.address} cannot be reached now"]
        fake.up()
        fake.wait(lambda: not cluster._session.unreachable)
        fake.finish()
        assert job() == 2
    assert fake.told_of(AskWhy) == []
