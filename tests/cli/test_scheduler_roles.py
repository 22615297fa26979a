"""`lightwork scheduler` with a credential for nodes and another for programs: who comes in, and what all read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightwork.model.errors import WrongCredential
from lightwork.security.secret import generate
from lightwork.wire.messages import Opened
from tests.cli.helpers import COMMAND
from tests.cli.nodes import environment_in, node
from tests.security.certificates import authority, make, private_file
from tests.support.schedulers import Home, Scheduler, at_home, caller, scheduler

pytestmark = pytest.mark.slow

NODES, CLUSTER = generate(), generate()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with at_home(tmp_path) as one:
        private_file(one.path / "nodes.secret", NODES)
        private_file(one.path / "cluster.secret", CLUSTER)
        yield one


def both(home: Home) -> tuple[str, ...]:
    files = ("--node-secret-file", "nodes.secret", "--cluster-secret-file", "cluster.secret")
    return ("--listen", "127.0.0.1:0", *files)


def where(one: Scheduler) -> str:
    return one.place().listen[0]


def test_each_comes_in_by_its_own_and_the_owner_by_none(home: Home) -> None:
    with scheduler(home, *both(home)) as one:
        with caller(f"tcp:{where(one)}", secret=CLUSTER) as client:
            client.hears(Opened)
        for role, secret in (("watcher", CLUSTER), ("node", NODES), ("relay", NODES)):
            with caller(f"tcp:{where(one)}", role=role, secret=secret) as peer:
                assert peer.scheduler.role == "scheduler"
        for role in ("client", "watcher", "node"):
            with caller(one.place().address, role=role, session=f"here-{role}") as peer:
                assert peer.scheduler.role == "scheduler"
        assert "turned away" not in one.err


def test_nobody_comes_in_by_the_other(home: Home) -> None:
    with scheduler(home, *both(home)) as one:
        for role, secret, wanted, shown in (
            ("node", CLUSTER, "node", "cluster"),
            ("relay", CLUSTER, "node", "cluster"),
            ("client", NODES, "cluster", "node"),
            ("watcher", NODES, "cluster", "node"),
        ):
            needs = f"a {role} needs the {wanted} credential of this scheduler"
            sentence = f"{needs}, and what it shows is the {shown} credential"
            for _ in range(3):
                with pytest.raises(WrongCredential) as caught:
                    caller(f"tcp:{where(one)}", role=role, secret=secret).__enter__()
                assert sentence in str(caught.value)
                assert "(ours is from the test)" in str(caught.value)
                assert f"--{wanted}-secret-file" in caught.value.hint
            one.says(f"127.0.0.1 was turned away: {sentence}")
            assert one.err.count(sentence) == 1  # it is one and the same, each time
        assert "holds another secret" not in one.err


def test_a_node_with_the_programs_secret_reads_why(home: Home) -> None:
    with scheduler(home, *both(home)) as one:
        with node(home.path, "--join", where(one), LIGHTWORK_SECRET=CLUSTER) as other:
            other.says(
                "a node needs the node credential of this scheduler, and what it shows is the cluster credential"
            )
            other.says("(ours is from LIGHTWORK_SECRET)")
            other.says("give it the secret that the scheduler has from its --node-secret-file")
            one.says("127.0.0.1 was turned away: a node needs the node credential")
        with node(home.path, "--join", where(one), LIGHTWORK_SECRET=NODES) as other:
            other.says("has joined")
            one.says(f"node {other.name} is there")


def test_a_command_with_the_nodes_secret_reads_why(home: Home) -> None:
    with scheduler(home, *both(home)) as one:
        for file in ("nodes.secret", "cluster.secret"):
            command = (*COMMAND, "status", "--scheduler", where(one), "--secret-file", file)
            env = environment_in(home.path)
            done = subprocess.run(command, cwd=home.path, env=env, capture_output=True, text=True, timeout=60)
            if file == "cluster.secret":
                assert done.returncode == 0, done.stderr
                return
            assert done.returncode == 1
            assert "a watcher needs the cluster credential of this scheduler" in done.stderr
            assert "(ours is from nodes.secret)" in done.stderr
            assert "hint: give it the secret that the scheduler has from its --cluster-secret-file" in done.stderr


def test_a_program_with_the_nodes_secret_reads_why(home: Home) -> None:
    with scheduler(home, *both(home)) as one:
        code = f"import lightwork; lightwork.SharedJobCluster(pow, scheduler={where(one)!r}, secret={NODES!r})"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment_in(home.path)
        )
        assert done.returncode == 1
        assert "a client needs the cluster credential of this scheduler" in done.stderr
        assert "(ours is from the secret argument)" in done.stderr


def test_nodes_are_dialled_with_their_credential(home: Home) -> None:
    with node(home.path, "--listen", "127.0.0.1:0", LIGHTWORK_SECRET=NODES) as listening:
        address = listening.address().removeprefix("tcp:")
        with scheduler(home, *both(home), "--nodes", address) as one:
            one.says(f"node {listening.name} is there")
    with node(home.path, "--listen", "127.0.0.1:0", LIGHTWORK_SECRET=CLUSTER) as listening:
        address = listening.address().removeprefix("tcp:")
        with scheduler(home, *both(home), "--nodes", address) as one:
            one.says(f"{address} holds another secret than this one (from nodes.secret)")
            listening.says("holds another secret than this one (from LIGHTWORK_SECRET)")


def test_what_is_not_named_is_found(home: Home) -> None:
    """A secret for nodes beside the saved one, which is that of programs."""
    with scheduler(
        home, "--listen", "127.0.0.1:0", "--node-secret-file", "nodes.secret", LIGHTWORK_SECRET=CLUSTER
    ) as one:
        with caller(f"tcp:{where(one)}", secret=CLUSTER) as client:
            client.hears(Opened)
        with pytest.raises(WrongCredential, match="needs the node credential"):
            caller(f"tcp:{where(one)}", role="node", secret=CLUSTER).__enter__()


def test_certificates_for_nodes_and_a_secret_for_programs(home: Home) -> None:
    fleet = authority("fleet")
    make("scheduler", fleet).write(home.path, "fleet")
    (home.path / "fleet-ca.pem").write_text(fleet.pem)
    make("a", fleet).write(home.path, "a")
    options = [f"--node-{what}={name}" for what, name in (("certfile", "fleet.crt"), ("keyfile", "fleet.key"))]
    options += ["--node-cafile=fleet-ca.pem", "--cluster-secret-file=cluster.secret", "--listen=127.0.0.1:0"]
    own = ("--certfile", "a.crt", "--keyfile", "a.key", "--cafile", "fleet-ca.pem")
    with scheduler(home, *options) as one, node(home.path, "--join", where(one), *own) as joining:
        joining.says("has joined")
        with caller(f"tcp:{where(one)}", secret=CLUSTER) as client:
            client.hears(Opened)
        with pytest.raises(WrongCredential, match="needs the node credential"):
            caller(f"tcp:{where(one)}", role="node", secret=CLUSTER).__enter__()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--node-secret-file", "nodes.secret", "--cluster-secret-file", "nodes.secret"), "are the same secret"),
        (("--node-secret-file", "nodes.secret"), "there is a node credential, and none for clients"),
        (("--cluster-secret-file", "cluster.secret"), "there is a cluster credential, and none for nodes"),
        (
            ("--node-secret-file", "a", "--cluster-secret-file", "b", "--secret-file", "c"),
            "a credential for nodes, one for clients, and one for both are one too many",
        ),
        (("--node-secret-file", "nowhere", "--secret-file", "cluster.secret"), "secret file nowhere does not exist"),
    ],
)
def test_what_does_not_fit_is_told_at_once(home: Home, options: tuple[str, ...], sentence: str) -> None:
    with scheduler(home, *options) as one:
        assert one.ended() in (2, 255)
        assert sentence in one.err
        assert "Traceback" not in one.err


def test_one_certificate_for_both_is_refused(home: Home) -> None:
    certfile, keyfile = make("alone").write(home.path, "alone")
    given = [
        f"--{kind}-{what}={path}"
        for kind in ("node", "cluster")
        for what, path in (("certfile", certfile), ("keyfile", keyfile))
    ]
    with scheduler(home, *given) as one:
        assert one.ended() in (2, 255)
        assert "who has the one could pass for the other" in one.err
        assert "--node-cafile, --cluster-cafile" in one.err


def test_both_must_be_beyond_guessing(home: Home) -> None:
    private_file(home.path / "phrase", "open sesame")
    given = ("--node-secret-file", "nodes.secret", "--cluster-secret-file", "phrase")
    with scheduler(home, "--listen", "0.0.0.0:0", *given) as one:
        assert one.ended() == 2
        assert "the secret from phrase is a phrase: whoever reaches" in one.err
