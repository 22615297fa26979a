"""Files of machines, plain and TOML: what they say, and what is said of each mistake."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lightwork.config.hosts_file import Host, read, split
from lightwork.model.errors import UserError


def file(folder: Path, text: str, name: str = "hosts.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def mistake(folder: Path, text: str, name: str = "hosts.toml") -> tuple[str, str]:
    """What is said, without the file's name, and the hint."""
    path = file(folder, text, name)
    with pytest.raises(UserError) as caught:
        read(path)
    sentence = str(caught.value.args[0])
    assert sentence.startswith(f"{path}:")
    return sentence.removeprefix(f"{path}:"), caught.value.hint


def test_plain_lines(tmp_path: Path) -> None:
    text = "# our machines\nbob\ncyd:9705   # the fast one\n\n   [fe80::1%eth0]:9702\n::1\n192.168.3.4\n"
    found = read(file(tmp_path, text, "hosts"))
    assert [(host.address, host.port, host.line, host.place) for host in found.hosts] == [
        ("bob", 0, 2, "bob"),
        ("cyd", 9705, 3, "cyd:9705"),
        ("fe80::1%eth0", 9702, 5, "[fe80::1%eth0]:9702"),
        ("::1", 0, 6, "::1"),
        ("192.168.3.4", 0, 7, "192.168.3.4"),
    ]
    assert found.scheduler == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bob\n\nbob # again\n", "3: bob is there already, on line 1"),
        ("bob cyd\n", "1: not HOST[:PORT]: bob cyd"),
        ("ssh://bob\n", "1: not HOST[:PORT]: ssh://bob"),
        ("bob:\n", "1: not HOST[:PORT]: bob:"),
        ("bob:70000\n", "1: bob:70000: ports are 1 to 65535"),
        ("bob:0\n", "1: bob:0: ports are 1 to 65535"),
        ("a\nb b\nc c\n", "2: not HOST[:PORT]: b b (and 1 more: `lightwork config check"),
    ],
)
def test_plain_lines_that_are_wrong(tmp_path: Path, text: str, said: str) -> None:
    assert mistake(tmp_path, text, "hosts")[0].startswith(said)


def test_toml_with_all_there_is(tmp_path: Path) -> None:
    found = read(
        file(
            tmp_path,
            """
scheduler = "lab0:9700"
[defaults]
user = "ann"
groups = ["lab"]
slots = -1
[[host]]
address = "bob:9705"
[[host]]
address = "cyd"
port = 9702
name = "big"
user = "root"
ssh-port = 2222
groups = ["fast", "gpu"]
labels = { disk = "ssd" }
slots = 8
weight = 5
resources = { gpu = 2, scratch = "200G" }
python = "/opt/python3.12"
""",
        )
    )
    bob, cyd = found.hosts
    assert found.scheduler == "lab0:9700"
    assert bob == Host(address="bob", port=9705, user="ann", groups=("lab",), slots=-1, line=7)
    assert cyd == Host(
        address="cyd",
        port=9702,
        name="big",
        user="root",
        ssh_port=2222,
        groups=("fast", "gpu"),
        labels={"disk": "ssd"},
        slots=8,
        weight=5,
        resources={"gpu": 2, "scratch": "200G"},
        python="/opt/python3.12",
        line=9,
    )


def test_one_machine_may_have_two_nodes_by_name(tmp_path: Path) -> None:
    text = '[[host]]\naddress = "bob"\nname = "one"\n[[host]]\naddress = "bob"\nname = "two"\n'
    assert [host.name for host in read(file(tmp_path, text)).hosts] == ["one", "two"]
    assert "bob is there already" in mistake(tmp_path, '[[host]]\naddress="bob"\n[[host]]\naddress="bob"\n')[0]


def test_a_configuration_file_will_do(tmp_path: Path) -> None:
    """The scheduler's own table is no address; what nodes join stands in theirs."""
    text = '[scheduler]\nlisten = "*:9700"\n[node]\njoin = "lab0"\n[[host]]\naddress = "bob"\n'
    found = read(file(tmp_path, text))
    assert (found.scheduler, [host.address for host in found.hosts]) == ("lab0", ["bob"])


@pytest.mark.parametrize(
    ("text", "line", "said", "hint"),
    [
        ('adress = "bob"', 2, "there is no key of [host] 'adress'", "did you mean address?"),
        ("", 1, "this host has no address", 'address = "bob"'),
        ('address = "a b"', 1, "not HOST[:PORT]: a b", "HOST:PORT"),
        ('address = ""', 2, "address: it is empty", ""),
        ('address = "a"\nport = 70000', 3, "port: 70000 is out of range: at most 65535", ""),
        ('address = "a:1"\nport = 2', 1, "a:1 names another port than port = 2", ""),
        ('address = "a"\ngroups = "fast"', 3, "groups: expected a list in brackets, and this is a text in quotes", ""),
        ('address = "a"\ngroups = [\n"b",\n"c d"]', 5, "groups: 'c d' is no name", ""),
        ('address = "a"\nlabels = { x = 1 }', 3, "labels: expected a text in quotes, and this is a whole number", ""),
        ('address = "a"\nlabels = { "x y" = "1" }', 3, "labels: 'x y' is no name", ""),
        ('address = "a"\nslots = "4"', 3, "slots: expected a whole number, and this is a text in quotes", ""),
        ('address = "a"\nweight = 1.5', 3, "weight: expected a whole number, and this is a number", ""),
        ('address = "a"\nline = 5', 3, "there is no key of [host] 'line'", ""),
    ],
)
def test_toml_that_is_wrong(tmp_path: Path, text: str, line: int, said: str, hint: str) -> None:
    sentence, told = mistake(tmp_path, f"[[host]]\n{text}\n")
    assert sentence.startswith(f"{line}: {said}")
    assert hint in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[hosts]]\naddress = 'a'\n", "1: there is no table 'hosts'"),
        ("[host]\naddress = 'a'\n", "1: host is no list of tables"),
        ("host = ['a']\n", "1: host is no list of tables"),
        ("defaults = 3\n", "1: defaults is no table"),
        ("[defaults]\naddress = 'a'\n", "2: there is no key of [defaults] 'address'"),
        ("[[host]]\naddress = a\n", "2: this is no TOML: invalid value"),
        ("[[host]]\naddress = 'a\n", "2: this is no TOML:"),
        ('[[host]]\naddress = "a"\nx = """', "3: this is no TOML:"),
    ],
)
def test_toml_that_is_wrong_as_a_whole(tmp_path: Path, text: str, said: str) -> None:
    assert mistake(tmp_path, text)[0].startswith(said)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none.toml", "no such file"), (tmp_path, "it is no plain file")):
        with pytest.raises(UserError, match=said):
            read(path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.toml")  # nobody writes into it
        with pytest.raises(UserError, match="it is no plain file"):
            read(tmp_path / "pipe.toml")
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(UserError, match="is no text"):
        read(tmp_path / "x.toml")


@pytest.mark.parametrize(
    "text", ["a/b", "a@b", "[::1", "::1]:5", "a:b:", "", "a,b", "'a'", "-F", "$(id)", "a`id`", "a|b", "a&b", "a\\b"]
)
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(ValueError, match="not HOST"):
        split(text)
