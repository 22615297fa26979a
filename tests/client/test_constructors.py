"""The constructor lines that the seeds print, word for word, but for the place of the program."""

from __future__ import annotations

import importlib

import pytest

from lightwork.client.cluster import JobCluster
from lightwork.model.errors import UserError
from lightwork.security.credential import Credential
from lightwork.security.identity import identity_of
from lightwork.security.secret import generate
from lightwork.wire.messages import PROGRAM, Define, Seek, Wanted
from tests.client.fake_scheduler import FakePrivate


def func1(n):
    return n


def func2(n):
    return n


class ClassA:
    pass


@pytest.fixture
def here(make, tmp_path, monkeypatch):
    """A directory with what the lines name; the fake scheduler is in place of each real one."""
    make(func1)[0].close()
    identity = identity_of(Credential(secrets=(generate(),)))
    for name, text in {
        "mycert": identity.chain + identity.authorities,
        "mykey": identity.key,
        "mycertkey": identity.chain + identity.authorities + identity.key,
        "file1": "one",
        "program": "#!/bin/sh\n",
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o700)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def close(cluster):
    cluster.close()
    return FakePrivate.made[-1].fake


def test_a_program_on_nodes_of_a_network(here, monkeypatch):
    monkeypatch.setenv("LIGHTWORK_SECRET", generate())
    cluster = JobCluster(f"{here}/program", nodes=["192.168.3.*"], transfer_dest="/tmp")
    assert cluster.submit("a")() == 0
    fake = close(cluster)
    assert fake.told(Seek)[0].wanted == [Wanted("192.168.3.*")]
    (defined,) = fake.told(Define)
    assert (defined.computation.kind, defined.computation.dest_path) == (PROGRAM, "/tmp")
    assert not cluster._network.local


def test_the_same_without_a_credential_says_what_to_do(here):
    with pytest.raises(UserError, match="`lightwork secret --save`"):
        JobCluster(f"{here}/program", nodes=["192.168.3.*"], transfer_dest="/tmp")


def test_a_function_with_depends(here, monkeypatch):
    (here / "moduleB.py").write_text("answer = 42\n")
    monkeypatch.syspath_prepend(here)
    moduleB = importlib.import_module("moduleB")
    cluster = JobCluster(func1, depends=[ClassA, moduleB, "file1"])
    assert cluster.submit(1)() == 1
    paths = [file.path for file in close(cluster).told(Define)[0].computation.files]
    assert "file1" in paths
    assert any(path.endswith("/moduleB.py") for path in paths)


def test_a_secret_that_can_be_guessed(here, capsys):
    cluster = JobCluster(func2, secret="super")
    assert cluster.submit(2)() == 2
    assert close(cluster).told(Seek) == []
    assert "this machine only" in capsys.readouterr().err


@pytest.mark.parametrize("files", [{"certfile": "mycert", "keyfile": "mykey"}, {"certfile": "mycertkey"}])
def test_certificates(here, files):
    cluster = JobCluster(func2, **files)
    assert cluster.submit(2)() == 2
    assert close(cluster).told(Seek)[0].wanted == [Wanted("*")]
    credential = cluster._network.credential
    assert credential is not None
    assert "PRIVATE" in credential.key
    assert "PRIVATE" not in repr(cluster._network)
