"""The options of `lightwork node` about what runs there: read, refused, and handed on to another process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lightwork.cli import node_rules
from lightwork.cli.node import node
from lightwork.cli.node_command import Options, arguments
from lightwork.model.errors import UserError
from lightwork.node.core.hours import Hours
from lightwork.node.service.house_rules import CACHE_BYTES, HouseRules


def test_nothing_given_is_the_usual() -> None:
    assert node_rules.rules(Options()) == HouseRules()
    assert node_rules.words(Options()) == []


def test_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,6")
    init = tmp_path / "init.py"
    init.touch()
    given = Options(
        resources=("gpu=2", "tape=1", "memory=8G"),
        groups=("lab", "night"),
        weight=4,
        service_start="20:00",
        service_stop="6:00",
        serve=3,
        init=str(init),
        max_file_size="500M",
        cache_quota="2G",
    )
    rules = node_rules.rules(given)
    assert rules.gpus == ("3", "5")
    assert rules.resources == {"tape": 1, "memory": 8 << 30}
    assert rules.hours == Hours(20 * 3600, 6 * 3600)
    assert (rules.groups, rules.weight, rules.clients) == (("lab", "night"), 4, 3)
    assert (rules.file_bytes, rules.cache_bytes) == (500 << 20, 2 << 30)
    monkeypatch.chdir(tmp_path)
    again = CliRunner().invoke(node, [*arguments(given), "--service"])
    assert again.exit_code == 0
    for word in (
        "--resource tape=1",
        "--group night",
        "--weight 4",
        "--service-stop 6:00",
        f"--init {init}",
        "--serve 3",
    ):
        assert word in again.stdout.replace('"', "")


def test_gpus_that_are_not_for_jobs() -> None:
    assert node_rules.rules(Options(resources=("gpu=0",))).gpus == ()
    assert node_rules.rules(Options(cache_quota=None)).cache_bytes == CACHE_BYTES


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"resources": ("gpu",)}, "not NAME=AMOUNT"),
        ({"resources": ("cpus=4",)}, "as many as slots"),
        ({"groups": ("a,b",)}, "without commas"),
        ({"serve": 0}, "no client at all"),
        ({"init": "no-such-file.py"}, "there is no such file"),
        ({"max_file_size": "big"}, "--max-file-size big: that is no size"),
        ({"cache_quota": "0"}, "--cache-quota 0: that is no size"),
        ({"service_start": "8:00"}, "until when"),
        ({"service_stop": "25:00"}, "that is no time"),
    ],
)
def test_what_is_wrong_is_told_at_once(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        node_rules.check(Options(**given))
    assert caught.value.hint
