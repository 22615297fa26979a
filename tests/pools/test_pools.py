"""Starting nodes elsewhere, without another machine: scripts, what ssh says, what is wanted and what is there."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lightwork.cli.up_command import Up, up
from lightwork.config.hosts_file import Host
from lightwork.model.errors import UserError
from lightwork.pools import scripts, wheel
from lightwork.pools.farm import Farm, Outcome, options_of
from lightwork.pools.record import Record, load, name_of
from lightwork.pools.ssh import Ssh

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stands in for ssh by a shell script")

LAB1 = Host(address="lab1", user="ann", ssh_port=2222, slots=4, groups=("fast",), labels={"disk": "a b"}, line=3)


def fake_ssh(directory: Path, body: str) -> str:
    """A command that stands in for ssh: its words go to a file."""
    path = directory / "ssh"
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {directory}/words\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_the_script_goes_to_standard_input_and_nothing_of_it_to_the_command_line(tmp_path: Path) -> None:
    done = Ssh(fake_ssh(tmp_path, "cat")).run(LAB1, "echo secret", 10)
    assert (done.status, done.out, done.why) == (0, "echo secret", "")
    words = (tmp_path / "words").read_text().splitlines()
    assert words[-4:] == ["2222", "--", "ann@lab1", "sh -s"]
    assert "BatchMode=yes" in words


@pytest.mark.parametrize(
    ("said", "why", "hint"),
    [
        (
            "ann@lab1: Permission denied (publickey).",
            "ann@lab1: Permission denied (publickey).",
            "ssh-copy-id ann@lab1",
        ),
        (
            "ssh: connect to host lab1 port 22: Connection refused",
            "connect to host lab1 port 22: Connection refused",
            "does sshd run",
        ),
        (
            "ssh: Could not resolve hostname lab1: Name or service not known",
            "Could not resolve hostname",
            "is the name right",
        ),
        ("Host key verification failed.", "Host key verification failed.", "look at the key"),
        ("", "ssh ended without a word", "`ssh ann@lab1 true` shows more"),
    ],
)
def test_why_ssh_did_not_get_there(tmp_path: Path, said: str, why: str, hint: str) -> None:
    done = Ssh(fake_ssh(tmp_path, f'echo "Warning: Permanently added x" >&2; echo "{said}" >&2; exit 255')).run(
        LAB1, "", 10
    )
    assert why in done.why
    assert hint in done.hint


def test_no_answer_is_said(tmp_path: Path) -> None:
    assert "no answer within 1 s" in Ssh(fake_ssh(tmp_path, "exec sleep 60")).run(LAB1, "", 1).why


def test_a_host_is_no_option() -> None:
    with pytest.raises(UserError, match="is no host"):
        Ssh().run(Host(address="-oProxyCommand=x"), "", 1)


def test_a_script_takes_any_value_as_it_is() -> None:
    script = scripts.start(["--label", "a=it's $HOME `x`"], {"LIGHTWORK_SECRET": "a'b\nc"})
    shown = script.replace('exec "$python" -m lightwork', "printf '<%s>'; printenv LIGHTWORK_SECRET; printf '<%s>'")
    shown = shown.replace("find_python || exit $?", ":")
    done = subprocess.run(["sh", "-s"], input=shown, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("<>a'b\nc\n<node><--label><a=it's $HOME `x`><--single><--detach>")


def test_an_interpreter_may_lie_below_a_name_with_blanks(tmp_path: Path) -> None:
    python = tmp_path / "our own" / "py*thon"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\ncase "$1" in -c) exit 0;; *) printf "<%s>" "$@";; esac\n')
    python.chmod(0o700)
    script = scripts.start(["--name", "a"], {}, python=str(python))
    done = subprocess.run(["sh", "-s"], input=script, capture_output=True, text=True, check=True)
    assert done.stdout == "<-m><lightwork><node><--name><a><--single><--detach>"


def test_no_interpreter_and_no_lightwork_are_told_apart(tmp_path: Path) -> None:
    bare = scripts.start([], {}).replace("import lightwork.cli.main", "import lightwork_is_not_here")
    assert subprocess.run(["sh", "-s"], input=bare, text=True, check=False).returncode == scripts.NO_LIGHTWORK
    nothing = bare.replace("sys.version_info < (3, 11)", "True")
    assert subprocess.run(["sh", "-s"], input=nothing, text=True, check=False).returncode == scripts.NO_PYTHON
    named = scripts.start([], {}, python="/no/such/python")
    assert subprocess.run(["sh", "-s"], input=named, text=True, check=False).returncode == scripts.NOT_THAT_PYTHON


def test_what_a_node_told() -> None:
    told = "node a listens\nit goes on as process 4711: `kill 4711` stops it; its log is /home/ann/x.log\n"
    assert (scripts.process_of(told), scripts.log_of(told)) == (4711, "/home/ann/x.log")
    assert scripts.process_of("error: no") == 0
    warned = "warning: jobs run as root\nwarning: nobody listens at a:9700; tried again every 2 s, later less often\n"
    assert scripts.trouble_of(warned + told) == "nobody listens at a:9700; tried again every 2 s, later less often"
    assert scripts.trouble_of(told) == ""
    assert scripts.running_process("error: node a runs here already as process 12") == 12


def test_options_of_a_host() -> None:
    words = ["--name", "lab1", "--slots", "4", "--group", "fast", "--label", "disk=a b"]
    assert options_of(LAB1) == words
    assert name_of(Host(address="fe80::1")) == "fe80-1"


def test_what_differs_is_stopped_and_started(tmp_path: Path) -> None:
    record = Record(file=str(tmp_path / "hosts.toml"))
    for name in "abc":
        record.started(Host(address=name, line=1), 10)
    record.save()
    farm = Farm(Ssh(), load(tmp_path / "hosts.toml"))
    wanted = [Host(address="a", line=7), Host(address="b", slots=2), Host(address="d")]
    stop, start = farm.changes(wanted)
    assert [host.address for host in stop] == ["b", "c"]
    assert [host.address for host in start] == ["b", "d"]


def test_two_nodes_of_one_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("lab1:9701\nlab2\nlab1:9702\n")
    with pytest.raises(UserError, match=r"hosts:3: the node would be called lab1, as that of line 1"):
        up(Up(str(file), once=True))


def test_each_is_told_and_only_what_went_well_is_noted(tmp_path: Path) -> None:
    ssh = Ssh(
        fake_ssh(
            tmp_path,
            'case "$*" in *good*) echo "it goes on as process 7: x; its log is y" >&2;; '
            '*) echo "error: no: why" >&2; exit 1;; esac',
        )
    )
    record = Record(file=str(tmp_path / "hosts"))
    told: list[Outcome] = []
    failed = Farm(ssh, record).up([Host(address="good"), Host(address="bad")], told.append)
    assert [(one.host.address, one.text) for one in failed] == [("bad", "no: why")]
    assert sorted(one.host.address for one in told) == ["bad", "good"]
    assert load(tmp_path / "hosts").processes == {"good": 7}
    assert not Farm(ssh, record).down([Host(address="good")], told.append, now=True)
    assert load(tmp_path / "hosts").hosts == {}


def test_the_wheel_is_whole() -> None:
    name, data = wheel.build()
    assert (name, data) == wheel.build()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = set(archive.namelist())
        assert "lightwork/cli/main.py" in names
        assert "lightwork/worker/main.py" in names or any(one.startswith("lightwork/worker/") for one in names)
        record = next(one for one in names if one.endswith("RECORD"))
        for path, digest, size in csv.reader(archive.read(record).decode().splitlines()):
            if path != record:
                found = archive.read(path)
                code = base64.urlsafe_b64encode(hashlib.sha256(found).digest()).rstrip(b"=").decode()
                assert (digest, size) == (f"sha256={code}", str(len(found)))
        assert b"lightwork = lightwork.__main__:main" in archive.read(record.replace("RECORD", "entry_points.txt"))
