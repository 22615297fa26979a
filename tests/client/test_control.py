"""What a cluster is told about nodes, message by message, over a scheduler that answers as the test says."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import pytest

from lightwork.client import waiting
from lightwork.client.allocation import NodeAllocate, NodeAvailInfo
from lightwork.model.errors import ClusterError, SchedulerGone, UserError
from lightwork.model.states import ClusterEvent
from lightwork.security.secret import generate
from lightwork.wire.messages import (
    Allot,
    AskNodeJobs,
    Attempted,
    ControlNode,
    Define,
    Hardware,
    Load,
    NodeStatus,
    Notice,
    OfferNode,
    Seek,
    SendFile,
    Submit,
    Tailor,
    Wanted,
)
from tests.client.fake_scheduler import NODE

LAB1 = NodeStatus("lab1", address="192.168.3.11:9701", slots=4, offered=8)
LAB2 = NodeStatus("lab2", address="192.168.3.12", slots=2)


def double(n):
    return 2 * n


def prepare(data):
    globals()["DATA"] = data


def known(cluster, name):
    deadline = time.monotonic() + 10
    while name not in [node.name for node in cluster.nodes]:
        assert time.monotonic() < deadline
        cluster.status()


def said(fake, capsys, part):
    """What was said on stderr, once this is part of it."""
    texts = []

    def there():
        texts.append(capsys.readouterr().err)
        return part in "".join(texts)

    fake.wait(there)
    return "".join(texts)


# --- what it looks for ---


def test_without_wishes_nothing_is_looked_for(make):
    cluster, fake = make(double)
    assert cluster.submit(1)() == 2
    assert fake.told(Seek) == []


def test_wishes_go_out_when_it_is_connected(make):
    nodes = ["192.168.3.*", ("lab1", 9702, -1), "local", NodeAllocate("lab2", cpus=3)]
    _cluster, fake = make(double, nodes=nodes, secret=generate())
    fake.wait(lambda: fake.told(Seek))
    (seek,) = fake.told(Seek)
    assert seek.wanted == [Wanted("192.168.3.*"), Wanted("lab1", 9702, -1), Wanted("lab2", 0, 3)]
    assert not seek.now


def test_a_credential_alone_wishes_for_whoever_answers(make):
    _cluster, fake = make(double, secret=generate())
    fake.wait(lambda: fake.told(Seek))
    assert fake.told(Seek)[0].wanted == [Wanted("*")]


def test_a_phrase_alone_is_warned_about(make, capsys):
    cluster, fake = make(double, secret="super")
    assert cluster.submit(1)() == 2
    assert fake.told(Seek) == []
    assert "this machine only" in capsys.readouterr().err


def test_what_is_wrong_with_a_wish_ends_the_constructor(make, tmp_path):
    from tests.client.fake_scheduler import FakePrivate

    for nodes, sentence in [
        ([("lab1", None, 0, [str(tmp_path / "none")])], "does not exist"),
        ([("lab1", None, 0, [], (1,))], "no setup"),
        ([], "names no node"),
    ]:
        with pytest.raises(UserError, match=sentence):
            make(double, nodes=nodes, secret=generate())
        assert FakePrivate.made[-1].discarded
    assert [
        thread for thread in threading.enumerate() if thread.name == "lightwork-allocate" and thread.is_alive()
    ] == []


def test_an_error_of_the_first_seek_is_told(make, capsys):
    cluster, fake = make(double, hold=True)
    fake.replies[Seek] = {"error": "the pattern a** is none", "hint": "another"}
    cluster._begin_to_seek([Wanted("a**")])
    cluster.status()
    assert "lightwork: error: the pattern a** is none\nhint: another" in capsys.readouterr().err


def test_discovering_asks_now_and_changes_no_wish(make):
    cluster, fake = make(double, secret=generate())
    fake.replies[Seek] = {"nodes": ["here", "lab1"]}
    assert cluster.discover_nodes() == ["here", "lab1"]
    assert cluster.discover_nodes(["192.168.3.*", ("lab1", 9702)]) == ["here", "lab1"]
    assert [(seek.wanted, seek.now) for seek in fake.told(Seek)[1:]] == [
        ([Wanted("*")], True),
        ([Wanted("192.168.3.*"), Wanted("lab1", 9702)], True),
    ]


def test_looking_for_nodes_without_a_credential_is_refused(make):
    cluster, fake = make(double)
    for call in (cluster.discover_nodes, lambda: cluster.allocate_node("lab1")):
        with pytest.raises(UserError, match="no credential"):
            call()
    with pytest.raises(UserError, match="when a cluster is made"):
        cluster.allocate_node("local")
    fake.replies[Seek] = {"nodes": ["lab1"]}
    assert cluster.allocate_node("unix:/run/node.sock") == ["lab1"]


# --- which node is meant ---


def test_a_node_is_meant_by_name_address_or_status(make):
    cluster, fake = make(double)
    fake.add_node(LAB1)
    fake.add_node(LAB2)
    known(cluster, "lab2")
    for node in ("lab1", "192.168.3.11", "192.168.3.11:9701", LAB1, cluster.nodes[1]):
        cluster.deallocate_node(node)
    assert [asked.node for asked in fake.told(ControlNode)] == ["lab1"] * 5


def test_a_node_that_is_not_there_is_refused_with_those_that_are(make):
    cluster, fake = make(double)
    fake.add_node(LAB1)
    known(cluster, "lab1")
    fake.drop_node(LAB1)
    gone = (
        lambda: cluster.close_node("lab1"),
        lambda: cluster.submit_node("lab1", 1),
        lambda: cluster.options(node=LAB1),
    )
    cluster.status()
    for call in gone:
        with pytest.raises(UserError, match="no node 'lab1'") as caught:
            call()
        assert "the nodes now: here" in str(caught.value)
    wrong: Any = 5
    with pytest.raises(UserError, match="5 is no node"):
        cluster.close_node(wrong)
    assert fake.told(ControlNode) == []


def test_an_address_of_two_nodes_is_refused(make):
    cluster, fake = make(double)
    for port in (9701, 9702):
        fake.add_node(NodeStatus(f"lab{port}", address=f"10.0.0.1:{port}"))
    known(cluster, "lab9702")
    with pytest.raises(UserError, match="lab9701 and lab9702"):
        cluster.close_node("10.0.0.1")
    cluster.close_node("10.0.0.1:9702")


def test_a_node_that_has_just_come_is_found(make):
    cluster, fake = make(double)
    cluster.status()
    fake.nodes.append(LAB1)  # and nobody says so
    cluster.deallocate_node("lab1")


def test_nodes_come_and_go(make):
    seen = []

    def told(event, node, job):
        if job is None:
            seen.append((event, node.name))

    cluster, fake = make(double, cluster_status=told)
    fake.add_node(LAB1)
    known(cluster, "lab1")
    assert cluster._session.nodes.slots == 6
    fake.drop_node(LAB1)
    cluster.status()
    assert [node.name for node in cluster.nodes] == ["here"]
    assert cluster._session.nodes.slots == 2
    assert cluster._session.nodes.address_of("lab1") == "192.168.3.11", "jobs ran there"
    fake.wait(lambda: (ClusterEvent.NODE_CLOSED, "lab1") in seen)
    fake.add_node(LAB1)
    known(cluster, "lab1")


# --- what is done with it ---


def test_each_command_is_a_message(make):
    cluster, fake = make(double)
    known(cluster, "here")
    assert cluster.allocate_node("here") == ["here"]
    cluster.deallocate_node("here")
    cluster.close_node("here")
    cluster.close_node("here", terminate_pending=True)
    cluster.resetup_node("here")
    cluster.resetup_node("here", True)
    told = [(one.action, one.value, one.cancel) for one in fake.told(ControlNode)]
    assert told == [
        ("allocate", 0, False),
        ("deallocate", 0, False),
        ("close", 0, False),
        ("close", 0, True),
        ("resetup", 0, False),
        ("resetup", 0, True),
    ]
    assert len({one.number for one in fake.told(ControlNode)}) == 6


def test_cpus_are_set_and_what_came_of_it_is_returned(make):
    cluster, fake = make(double)
    fake.nodes = [NodeStatus("here", slots=7, offered=8)]
    assert cluster.set_node_cpus("here", -1) == 7
    assert [(one.action, one.value) for one in fake.told(ControlNode)] == [("slots", -1)]
    wrong: Any
    for wrong in (1.5, True, None, "2"):
        with pytest.raises(UserError, match="cpus="):
            cluster.set_node_cpus("here", wrong)


def test_what_cannot_be_done_is_a_cluster_error(make):
    cluster, fake = make(double)
    fake.replies[ControlNode] = {"error": "node here is leaving", "hint": "wait"}
    with pytest.raises(ClusterError, match="node here is leaving") as caught:
        cluster.deallocate_node("here")
    assert caught.value.hint == "wait"


def test_a_long_wait_says_what_for(make, capsys, monkeypatch):
    monkeypatch.setattr(waiting.Patience, "due", lambda self, began, steadily: began + 0.05)
    cluster, fake = make(double)
    fake.replies[ControlNode] = lambda message: None
    thread = threading.Thread(target=lambda: cluster.close_node("here"), daemon=True)
    thread.start()
    said(fake, capsys, "node here to be given back")
    fake.replies[ControlNode] = {}
    fake._asked(fake.told(ControlNode)[0])
    thread.join(10)
    assert not thread.is_alive()


def test_whoever_asks_a_dead_scheduler_hears_of_it(make):
    cluster, fake = make(double)
    fake.replies[ControlNode] = lambda message: fake.die()
    with pytest.raises(SchedulerGone):
        cluster.deallocate_node("here")
    with pytest.raises(SchedulerGone):
        cluster.deallocate_node("here")


def test_a_callback_may_command_nodes(make):
    done = []
    cluster: Any
    cluster, _fake = make(double, callback=lambda job: done.append(cluster.set_node_cpus("here", 1)))
    cluster.submit(1)
    assert cluster.wait(20)
    assert done == [2]


def test_late_and_strange_answers_change_nothing(make):
    cluster, fake = make(double)
    fake.replies[ControlNode] = {"jobs": [1]}
    from lightwork.wire.messages import Answer

    fake.send(Answer(99, "an error"))
    cluster.deallocate_node("here")
    fake.send(Answer(1, "twice"))
    assert cluster.submit(2)() == 4
    assert cluster._session.questions._open == {}


# --- jobs and files for one node ---


def test_jobs_for_one_node_name_it(make):
    cluster, fake = make(double)
    jobs = [
        cluster.submit_node("here", 1),
        cluster.submit_job_id_node("mine", NODE, 2),
        cluster.options(node="127.0.0.1", id=5).submit(3),
        cluster.submit(4),
    ]
    assert [(job.id, job()) for job in jobs] == [(0, 2), ("mine", 4), (5, 6), (3, 8)]
    nodes = [message.options.node for message in fake.told(Submit) for _ in message.lengths]
    assert nodes == ["here", "here", "here", ""]
    assert list(cluster.options(node="here").map([1, 2])) == [2, 4]


def test_the_jobs_on_a_node(make):
    cluster, fake = make(double, hold=True)
    jobs = [cluster.submit(n) for n in range(3)]
    fake.wait_jobs(3)
    fake.replies[AskNodeJobs] = {"jobs": [2, 0, 77]}
    assert cluster.node_jobs("here") == [jobs[2], jobs[0]]
    assert cluster.node_jobs("here", from_node=True) == [jobs[2], jobs[0]]
    assert [one.from_node for one in fake.told(AskNodeJobs)] == [False, True]


def test_a_file_is_offered_until_it_has_arrived(make, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_bytes(b"aaa")
    (tmp_path / "data" / "b").write_bytes(b"bb")
    monkeypatch.chdir(tmp_path)
    cluster, fake = make(double, hold=True)
    fetched = {}

    def fetch(message):
        stream = fake.fetch("blob", message.file.digest)
        threading.Thread(target=answer, args=(message, stream)).start()

    def answer(message, stream):
        fake.wait(lambda: stream in fake.done_streams)
        fetched[message.file.path] = fake.received[stream]
        fake.replies[SendFile] = {}
        fake._asked(message)
        fake.replies[SendFile] = fetch

    fake.replies[SendFile] = fetch
    cluster.send_file("data", "here")
    assert fetched == {"data/a": b"aaa", "data/b": b"bb"}
    (defined,) = fake.told(Define)
    assert {one.computation for one in fake.told(SendFile)} == {defined.computation.digest}
    assert fake.messages.index(defined) < fake.messages.index(fake.told(SendFile)[0])
    cluster.submit(1)
    fake.wait_jobs(1)
    assert len(fake.told(Define)) == 1
    assert len(cluster._session.blobs._held) == 0
    with pytest.raises(UserError, match="does not exist"):
        cluster.send_file("none", "here")


# --- nodes that the user decides about ---


class Chooses(NodeAllocate):
    """Takes half of each node but small ones; remembers what it was told."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.told = []

    def allocate(self, cluster, ip_addr, name, cpus, avail_info, platform):
        self.told.append((cluster.name, ip_addr, name, cpus, avail_info, platform, list(self.depends)))
        if name == "odd":
            self.depends.append(__file__)
        if name == "bad":
            raise ValueError("mine")
        if name == "strange":
            return None
        return cpus // 2 if cpus > 2 else 0


def offered(fake, *nodes, spec=0):
    before = len(fake.told(Allot))
    for node in nodes:
        fake.send(OfferNode(spec, node))
    fake.wait(lambda: len(fake.told(Allot)) == before + len(nodes))
    return [(allot.node, allot.slots) for allot in fake.told(Allot)]


def test_the_user_s_own_allocate_decides(make, capsys):
    chooses = Chooses("*")
    _cluster, fake = make(double, nodes=["lab9", chooses], secret=generate(), name="mine")
    fake.wait(lambda: fake.told(Seek))
    assert fake.told(Seek)[0].wanted == [Wanted("lab9"), Wanted("*", spec=0)]
    load, hardware = Load(90.0, 1000, 2000, 50.0), Hardware("Linux", "x86_64")
    big = NodeStatus("big", "10.0.0.1:9701", slots=1, offered=8, load=load, hardware=hardware)
    names = ("bad", "strange", "odd", "tiny")
    others = [NodeStatus(name, slots=2 if name == "tiny" else 4) for name in names]
    assert offered(fake, big, *others) == [("big", 4), ("bad", 0), ("strange", 0), ("odd", 2), ("tiny", 0)]
    info = NodeAvailInfo(90.0, 1000, 2000, 50.0)
    assert chooses.told[0] == ("mine", "10.0.0.1", "big", 8, info, "Linux-x86_64", [])
    assert [told[-1] for told in chooses.told] == [[]] * 5, "what was set for one node is not there for the next"
    (tailor,) = fake.told(Tailor)
    assert (tailor.node, [file.path for file in tailor.tailoring.files]) == ("odd", ["tests/client/test_control.py"])
    err = capsys.readouterr().err
    assert "node bad is not used" in err
    assert "ValueError: mine" in err
    assert "node strange is not used: allocate() returned None" in err


def test_allocate_may_block_and_everything_else_goes_on(make):
    gate = threading.Event()

    class Slow(NodeAllocate):
        def allocate(self, *args):
            gate.wait(20)
            return 1

    cluster, fake = make(double, nodes=[Slow("lab1")], secret=generate())
    fake.send(OfferNode(0, LAB1))
    assert cluster.submit(1)() == 2
    assert cluster.discover_nodes() == []
    assert fake.told(Allot) == []
    gate.set()
    fake.wait(lambda: fake.told(Allot))


def test_what_a_node_has_of_its_own_goes_before_its_slots(make, tmp_path):
    (tmp_path / "data").write_bytes(b"of lab1")
    node = ("lab*", None, -2, [str(tmp_path / "data")], ("mine",))
    _cluster, fake = make(double, nodes=[node], secret=generate(), setup=prepare, setup_args=("ours",))
    fake.wait(lambda: fake.told(Seek))
    assert fake.told(Seek)[0].wanted == [Wanted("lab*", 0, -2, 0)]
    assert offered(fake, LAB1, LAB2) == [("lab1", 6), ("lab2", 0)]
    (tailor,) = fake.told(Tailor)
    assert fake.messages.index(tailor) < fake.messages.index(fake.told(Allot)[0])
    made = tailor.tailoring
    assert b"mine" in made.setup
    assert b"ours" not in made.setup
    assert [file.path for file in made.files if not file.path.startswith(".lightwork")] == ["data"]
    assert re.fullmatch(r"[0-9a-f]{32}", made.environment)
    (file,) = [file for file in made.files if file.path == "data"]
    stream = fake.fetch("blob", file.digest)
    fake.wait(lambda: stream in fake.done_streams)
    assert fake.received[stream] == b"of lab1"


def test_setting_up_again_with_another_data_set(make, tmp_path):
    data = tmp_path / "data"
    data.write_bytes(b"first")
    cluster, fake = make(double, setup=prepare, setup_args=("ours",))
    cluster.resetup_node("here", depends=[str(data)])
    data.write_bytes(b"second")
    cluster.resetup_node("here", depends=[str(data)])
    cluster.resetup_node("here", setup_args=("mine",))
    cluster.resetup_node("here", depends=[], setup_args=())
    made = [tailor.tailoring for tailor in fake.told(Tailor)]
    digests = [[file.digest for file in one.files if file.path == "data"] for one in made]
    assert [len(found) for found in digests] == [1, 1, 1, 0]
    assert digests[0] != digests[1] == digests[2]
    assert [b"ours" in one.setup for one in made] == [True, True, False, True]
    assert len({one.environment for one in made}) == 4
    assert [one.action for one in fake.told(ControlNode)] == ["resetup"] * 4
    wrong: Any
    for wrong in (5, "text"):
        with pytest.raises(UserError, match="setup_args"):
            cluster.resetup_node("here", setup_args=wrong)
    with pytest.raises(UserError, match="no file or directory"):
        cluster.resetup_node("here", depends=[double])


def test_nodes_wished_for_later_may_be_decided_about_too(make):
    cluster, fake = make(double, secret=generate())
    fake.replies[Seek] = {"nodes": ["here"]}
    chooses = Chooses("lab*")
    assert cluster.allocate_node(chooses) == ["here"]
    assert cluster.allocate_node([("lab7", 9702)]) == ["here"]
    assert [seek.wanted for seek in fake.told(Seek)[1:]] == [[Wanted("lab*", spec=0)], [Wanted("lab7", 9702)]]
    assert offered(fake, LAB1) == [("lab1", 4)]
    assert offered(fake, LAB2, spec=5)[-1] == ("lab2", 0), "nobody knows that one"


# --- what it says of nodes ---


def test_where_nodes_were_looked_for_is_in_the_status(make):
    cluster, fake = make(double)
    fake.attempted = [Attempted("lab1:9701", "refused", "wrong secret", "the same on both")]
    status = cluster.status()
    assert status.attempted == (Attempted("lab1:9701", "refused", "wrong secret", "the same on both"),)
    assert status.nodes[0].name == "here"


def test_a_wait_without_nodes_says_what_was_tried(make, capsys, monkeypatch):
    monkeypatch.setattr(waiting.Patience, "due", lambda self, began, steadily: began + 0.05)
    cluster, fake = make(double, hold=True)
    fake.nodes = []
    fake.waiting = ["no node is connected"]
    fake.attempted = [
        Attempted("lab1:9701", "refused", "it has another secret", "compare them"),
        Attempted("*", "silent", "nobody answered"),
    ]
    job = cluster.submit(1)
    thread = threading.Thread(target=job, daemon=True)
    thread.start()
    text = said(fake, capsys, "nobody answered")
    for part in ("there is no node", "no node is connected", "lab1:9701: it has another secret", "compare them"):
        assert part in text
    fake.end(0)
    thread.join(10)


def test_what_the_scheduler_notices_is_said_at_once(make, capsys):
    cluster, fake = make(double)
    fake.send(Notice("warning", "no node is connected: lab1:9701 refused", "look there"))
    cluster.status()
    assert "lightwork: warning: no node is connected: lab1:9701 refused\nhint: look there" in capsys.readouterr().err
