"""Configuration files: every mistake has its line, and a secret is never repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightwork.config.checking import check, check_all, settings
from lightwork.model.errors import UserError
from lightwork.security.secret import generate


def file(folder: Path, text: str) -> Path:
    path = folder / "lightwork.toml"
    path.write_text(text)
    return path


GOOD = """
[scheduler]
listen = "*:9700"
nodes = ["bob", "cyd:9705"]
state = "jobs"
node-secret-file = "~/nodes.secret"
order = "oldest"
resource = { licence = 5, scratch = "2T" }
cooperative = true

[node]
slots = -1
label = { disk = "ssd" }
resource = ["gpu=2"]
nice = 5
service-start = "08:00"
service-end = "+2h"
cache-quota = "20 GB"

[relay]
scheduler = "lab0"

[[host]]
address = "bob"
"""


def test_all_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    found = check(file(tmp_path, GOOD))
    assert found.problems == []
    scheduler = {key: one.value for key, one in found.tables["scheduler"].items()}
    assert scheduler == {
        "listen": "*:9700",
        "nodes": ["bob", "cyd:9705"],
        "state": str(tmp_path / "jobs"),
        "node-secret-file": "/home/ann/nodes.secret",
        "order": "oldest",
        "resource": {"licence": 5, "scratch": "2T"},
        "cooperative": True,
    }
    assert found.tables["node"]["nice"] == (5, 15)
    assert [host.address for host in found.hosts] == ["bob"]
    assert settings(found.path, "relay")["scheduler"].value == "lab0"


@pytest.mark.parametrize(
    ("table", "text", "said", "hint"),
    [
        ("scheduler", 'lsiten = "x"', "there is no key of [scheduler] 'lsiten'", "did you mean listen?"),
        ("scheduler", 'secret_file = "x"', "there is no key of [scheduler] 'secret_file'", "secret-file?"),
        ("scheduler", "zzz = 1", "there is no key of [scheduler] 'zzz'", "there are cafile, certfile"),
        ("scheduler", "listen = 9700", "listen: expected a text in quotes, and this is a whole number", ""),
        ("scheduler", 'nodes = "bob"', "nodes: expected a list in brackets, and this is a text in quotes", ""),
        ("scheduler", 'order = "fiar"', "order: 'fiar' is none of fair, submitted, oldest", ""),
        ("scheduler", 'cooperative = "yes"', "cooperative: expected true or false, and this is a text", ""),
        ("scheduler", "resource = 5", "resource: expected a table or a list in brackets, and this is a whole", ""),
        ("scheduler", 'resource = ["gpu"]', "resource: 'gpu' is not \"NAME=VALUE\"", ""),
        ("node", "nice = 20", "nice: 20 is out of range: at most 19", ""),
        ("node", "nice = -1", "nice: -1 is out of range: at least 0", ""),
        ("node", 'slots = "4"', "slots: expected a whole number, and this is a text in quotes", ""),
        ("node", 'service-start = "8"', "service-start: '8' is not a time \"HH:MM\"", ""),
        ("node", "service-start = 08:00:00", "service-start: expected a text in quotes, and this is a time", ""),
        ("node", 'cache-quota = "much"', "cache-quota: 'much' is not a size such as", ""),
        ("node", "clean = true", "there is no key of [node] 'clean'", ""),
        ("node", "detach = true", "there is no key of [node] 'detach'", ""),
        ("relay", 'listen = ""', "listen: it is empty", ""),
    ],
)
def test_each_mistake_has_its_line(tmp_path: Path, table: str, text: str, said: str, hint: str) -> None:
    (problem,) = check(file(tmp_path, f"# one\n[{table}]\n\n{text}\n")).problems
    assert problem.line == 4
    assert problem.text.startswith(said)
    assert hint in problem.hint


def test_the_element_of_a_list_has_its_own(tmp_path: Path) -> None:
    (problem,) = check(file(tmp_path, '[scheduler]\nnodes = [\n  "a",\n  5,\n]\n')).problems
    assert (problem.line, problem.text) == (4, "nodes: expected a text in quotes, and this is a whole number")


def test_all_of_them_are_told_in_order(tmp_path: Path) -> None:
    text = "[scheduler]\nx1 = 1\n[nodes]\n[node]\nnice = 99\nslots = []\n[[host]]\nadr = 1\n"
    problems = check(file(tmp_path, text)).problems
    assert [problem.line for problem in problems] == [2, 3, 5, 6, 8]
    assert problems[1].text == "there is no table 'nodes'"
    assert problems[1].hint == "did you mean node?"
    with pytest.raises(UserError, match=r"lightwork\.toml:2: .*'x1' \(and 4 more: `lightwork config check"):
        settings(file(tmp_path, text), "relay")


SECRET = generate()
PEM = "-----BEGIN" + " PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f'secret = "{SECRET}"', "secret-file"),
        ('secret = "open sesame"', "secret-file"),
        ('password = "open sesame"', "secret-file"),
        ('node-secret = "open sesame"', "node-secret-file"),
        ('cluster_secret = "open sesame"', "cluster-secret-file"),
        (f'secret-file = "{SECRET}"', "secret-file"),
        (f'nodes = ["a", "{SECRET}"]', "secret-file"),
        (f'order = "{SECRET}"', "secret-file"),
        (f'certfile = """\n{PEM}\nabc"""', "secret-file"),
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, text: str, named: str) -> None:
    found = check(file(tmp_path, f"[scheduler]\n{text}\n"))
    assert [problem.line for problem in found.problems] == [2]
    told = found.problems[0].text + found.problems[0].hint
    assert "does not belong into this file" in told
    assert f"{named} = " in told
    assert not any(word in told for word in (SECRET, "sesame", PEM, "abc"))


@pytest.mark.parametrize(
    ("text", "line"), [(f"[scheduler]\n{'.'.join('k' * 3000)} = 1\n", 2), (f"x = {'9' * 5000}\n", 0)]
)
def test_what_no_person_writes_is_told_like_anything_else(tmp_path: Path, text: str, line: int) -> None:
    [(_, problems)] = check_all([str(file(tmp_path, text))])
    assert [problem.line for problem in problems] == [line]


def test_several_files_and_one_that_is_not_there(tmp_path: Path) -> None:
    good, missing = file(tmp_path, GOOD), tmp_path / "none"
    told = check_all([str(good), str(missing)])
    assert told[0] == (good, [])
    assert told[1][1][0].text == f"cannot read {missing}: no such file or directory"


def test_a_plain_list_of_hosts_is_known_by_its_words(tmp_path: Path) -> None:
    plain, toml = tmp_path / "hosts", tmp_path / "lightwork.conf"
    plain.write_text("# ours\nbob\n[::1]:9701\nx y\n")
    toml.write_text("# ours\n[scheduler]\nx = 1\n")
    told = check_all([str(plain), str(toml)])
    assert [[(one.line, one.text) for one in problems] for _, problems in told] == [
        [(4, "not HOST[:PORT]: x y")],
        [(3, "there is no key of [scheduler] 'x'")],
    ]
