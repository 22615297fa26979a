"""`lightwork config`, and `--config FILE`: each key is an option, and what is typed counts more."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import psutil
import pytest

from lightwork.cli import scheduler as scheduler_line
from lightwork.cli.config_command import command_of
from lightwork.cli.config_option import defaults, keys_of
from lightwork.cli.main import _COMMANDS
from lightwork.cli.scheduler_command import Options, arguments
from lightwork.config.schema import TABLES
from lightwork.scheduler.core.policies import ORDERS
from lightwork.security.secret import generate
from tests.cli.helpers import COMMAND
from tests.cli.nodes import new_name, node
from tests.security.certificates import private_file
from tests.support.schedulers import Home, at_home, caller, scheduler

ACTIONS = {"config", "detach", "detached", "service", "stop", "now", "clean"}  # what a program does, not how it is


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with at_home(tmp_path) as one:
        yield one


def told(home: Home, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = home.environment(**environment)
    return subprocess.run([*COMMAND, *arguments], cwd=home.path, env=env, capture_output=True, text=True, timeout=60)


def options_of(program: str) -> dict[str, click.Option]:
    """By key."""
    return {
        key: one
        for one in command_of(program).params
        if isinstance(one, click.Option)
        for key in keys_of(one)
        if key not in ACTIONS
    }


# --- keys and options are the same ---


@pytest.mark.parametrize("program", [name for name in TABLES if name in _COMMANDS])
def test_each_option_is_a_key_and_each_key_an_option(program: str) -> None:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(TABLES[program])}
    options = options_of(program)
    assert set(fields) == set(options)
    for key, kind in fields.items():
        option, takes = options[key], _takes(kind)
        assert option.is_flag == ("bool" in takes), key
        assert option.multiple == ("list" in takes), key
        if not option.multiple:
            assert isinstance(option.type, click.types.IntParamType) == ("int" in takes), key


def _takes(kind: Any) -> set[str]:
    """The TOML types that a key may have."""
    found = msgspec.inspect.type_info(kind)
    kinds = found.types if isinstance(found, msgspec.inspect.UnionType) else (found,)
    inner = [one.type if isinstance(one, msgspec.inspect.Metadata) else one for one in kinds]
    flat = [part for one in inner for part in (one.types if isinstance(one, msgspec.inspect.UnionType) else (one,))]
    return {type(one).__name__.removesuffix("Type").lower() for one in flat} - {"none"}


def test_the_orders_are_those_of_the_core() -> None:
    assert scheduler_line.ORDERS == ORDERS


def test_tables_become_what_would_be_typed() -> None:
    given = {"label": {"disk": "ssd", "rack": "3"}, "resource": {"gpu": 2}, "nice": 5, "python": ["a", "b"]}
    found = defaults(command_of("node"), given)
    assert found == {"labels": ["disk=ssd", "rack=3"], "resources": ["gpu=2"], "nice": 5, "pythons": ["a", "b"]}


# --- check ---


def test_check(home: Home) -> None:
    (home.path / "good.toml").write_text("[scheduler]\nlisten = '*:9700'\n[[host]]\naddress = 'bob'\n")
    (home.path / "bad.toml").write_text("[scheduler]\nlsiten = 'x'\n[node]\nnice = 99\n")
    done = told(home, "config", "check", "good.toml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "all right\n")
    done = told(home, "config", "check", "good.toml", "bad.toml", "none.toml")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: bad.toml:2: there is no key of [scheduler] 'lsiten'",
        "hint: did you mean listen?",
        "error: bad.toml:4: nice: 99 is out of range: at most 19",
        "error: cannot read none.toml: no such file or directory",
        "3 mistakes in 3 files",
    ]
    document = json.loads(told(home, "config", "check", "bad.toml", "--json").stdout)
    assert document["files"][0]["file"] == "bad.toml"
    assert document["files"][0]["problems"][1] == {
        "line": 4,
        "text": "nice: 99 is out of range: at most 19",
        "hint": "",
    }


# --- show ---


def test_show(home: Home) -> None:
    secret = private_file(home.path / "s", generate())
    (home.path / "c.toml").write_text("[scheduler]\nlisten = '127.0.0.1:0'\nsecret-file = 's'\nresource = {l = 5}\n")
    done = told(home, "config", "show", "--config", "c.toml")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert rows["listen"] == ["127.0.0.1:0", "c.toml:2"]
    assert rows["resource"] == ["l=5", "c.toml:4"]
    assert rows["order"] == ["fair", "default"]
    assert rows["(credential)"] == ["a", "secret", str(secret)]
    assert generate()[:8] not in done.stdout
    shown = json.loads(told(home, "config", "show", "node", "--json", LIGHTWORK_SECRET=generate()).stdout)
    values = {line["key"]: (line["value"], line["source"]) for line in shown["values"]}
    assert values["nice"] == ("19", "default")
    assert values["(credential)"] == ("a secret", "LIGHTWORK_SECRET")
    assert "lw-" not in json.dumps(shown)


def test_show_of_two_credentials(home: Home) -> None:
    private_file(home.path / "n", generate())
    (home.path / "c.toml").write_text("[scheduler]\nnode-secret-file = 'n'\ncluster-secret-file = 'none'\n")
    done = told(home, "config", "show", "--config", "c.toml")
    rows = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert f"(node credential) a secret {home.path / 'n'}" in rows
    assert "unusable" in done.stdout
    assert "does not exist" in done.stdout


# --- --config ---


def test_a_scheduler_takes_what_is_not_typed(home: Home) -> None:
    private_file(home.path / "s", generate())
    text = "[scheduler]\nlisten = '127.0.0.1:0'\nsecret-file = 's'\nname = 'file'\nstate = 'jobs'\ncooperative = true\n"
    (home.path / "c.toml").write_text(text)
    with scheduler(home, "--config", "c.toml", "--order", "oldest", name="typed") as one:
        place = one.place()
        assert (place.name, place.state) == ("typed", str(home.path / "jobs"))
        with caller(f"tcp:{place.listen[0]}", secret=(home.path / "s").read_text()) as client:
            assert client.scheduler.role == "scheduler"
    (home.path / "c.toml").write_text(text + "lsiten = 3\n")
    with scheduler(home, "--config", "c.toml") as one:
        assert one.ended() == 2
        assert f"error: {home.path / 'c.toml'}:7: there is no key of [scheduler] 'lsiten'\n" in one.err
        assert "hint: did you mean listen?" in one.err


@pytest.mark.slow
def test_a_node_takes_what_is_not_typed(home: Home) -> None:
    name = new_name()
    (home.path / "n.toml").write_text(f"[node]\nslots = 3\nlabel = {{ disk = 'ssd' }}\nname = '{name}'\n")
    with node(home.path, "--config", "n.toml", name=name) as one:
        one.says(f"node {name}, 3 slots, listens")
    with node(home.path, "--config", "n.toml", "--slots", "2", name=name) as one:
        one.says(f"node {name}, 2 slots, listens")


def test_what_would_be_wrong_typed_is_wrong_in_a_file(home: Home) -> None:
    (home.path / "c.toml").write_text("[node]\njoin = 'a'\nlisten = 'b'\n")
    done = told(home, "node", "--config", "c.toml")
    assert done.returncode == 2
    assert "a node listens or joins, not both" in done.stderr
    assert told(home, "node", "--config", "none.toml").stderr.startswith("error: cannot read")


def test_a_service_reads_the_file_at_each_start(home: Home) -> None:
    (home.path / "c.toml").write_text("[node]\nslots = 3\nnice = 5\njoin = 'lab0'\n")
    done = told(home, "node", "--config", "c.toml", "--nice", "19", "--label", "a=b", "--client-shutdown", "--service")
    line = next(line for line in done.stdout.splitlines() if line.startswith("ExecStart="))
    words = line.partition(" lightwork node ")[2].split()
    assert words[:2] == ["--config", str(home.path / "c.toml")]
    assert sorted(words[2:]) == sorted(["--label", "a=b", "--client-shutdown", "--nice", "19"])


def test_detached_it_has_all_of_the_file(home: Home) -> None:
    (home.path / "c.toml").write_text("[scheduler]\nname = 'quiet'\nstate = 'jobs'\norder = 'oldest'\n")
    done = told(home, "scheduler", "--config", "c.toml", "--detach")
    assert done.returncode == 0, done.stderr
    (place,) = home.places()
    try:
        assert (place.name, place.state) == ("quiet", str(home.path / "jobs"))
        assert "--order" in psutil.Process(place.pid).cmdline()
    finally:
        os.kill(place.pid, signal.SIGTERM)


def test_a_scheduler_started_anew_is_told_all_again(tmp_path: Path) -> None:
    """What --detach and --service pass on, held against every option that there is."""
    given = {"order": "oldest", "resource": "licence=5", "nodes": "bob,cyd:9705", "listen": "*:9", "name": "lab"}
    words = []
    for key, option in options_of("scheduler").items():
        words += [f"--{key}"] if option.is_flag else [f"--{key}", given.get(key, str(tmp_path / key))]
    options = Options(**command_of("scheduler").make_context("scheduler", words).params)
    again = arguments(options)
    parsed = Options(**command_of("scheduler").make_context("scheduler", again).params)
    assert {word for word in again if word.startswith("--")} == {word for word in words if word.startswith("--")}
    assert parsed.nodes == ("bob", "cyd:9705")
    assert parsed == dataclasses.replace(options, nodes=parsed.nodes)
