"""docs/nodes.md and docs/scheduler.md have every call and every keyword that steers nodes and jobs, as it is."""

from __future__ import annotations

import inspect
import re

import lightwork
from lightwork.client.allocation import NodeAllocate
from lightwork.client.cluster import JobCluster
from lightwork.client.control import NodeControl
from lightwork.client.hosts import HostControl
from lightwork.client.steps import StepControl
from tests.house.helpers import ROOT


def section(page: str, heading: str) -> str:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ")[0]


def calls(text: str) -> dict[str, list[str]]:
    """What the first cells of the tables call: keywords by name."""
    cells = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    found = [call for cell in cells for call in re.findall(r"`(\w+)\(([^`]*)\)`", cell)]
    return {name: [word.strip() for word in words.split(",") if word.strip()] for name, words in found}


def public(kind: type) -> dict[str, inspect.Signature]:
    members = vars(kind).items()
    return {
        name: inspect.signature(one) for name, one in members if inspect.isfunction(one) and not name.startswith("_")
    }


def as_told(signature: inspect.Signature) -> list[str]:
    given = [one for name, one in signature.parameters.items() if name != "self"]
    return [one.name if one.default is one.empty else f"{one.name}={one.default!r}".replace("'", '"') for one in given]


def test_machines_are_steered_as_it_says() -> None:
    told = calls(section("nodes.md", "Machines of a scheduler, for all who use it"))
    assert told == {name: as_told(signature) for name, signature in public(HostControl).items()}


def test_nodes_are_steered_as_it_says() -> None:
    told = calls(section("nodes.md", "Steering nodes from the program"))
    there = {**public(NodeControl), **public(StepControl)}
    assert there.keys() - told.keys() == set()
    for name in public(StepControl):
        assert told[name] == as_told(there[name])


def test_keywords_of_a_shared_cluster() -> None:
    rows = [
        line for line in section("scheduler.md", "Programs on a shared scheduler").splitlines() if line[:3] == "| `"
    ]
    told = [re.findall(r"`(\w+)`", row)[0] for row in rows]
    shared = inspect.signature(lightwork.SharedJobCluster).parameters
    assert set(told) <= shared.keys()
    assert shared.keys() - inspect.signature(JobCluster).parameters.keys() <= {*told, "scheduler_host"}
    for name in told[-4:]:
        for function in (JobCluster, JobCluster.options):
            assert name in inspect.signature(function).parameters


def test_every_keyword_is_in_its_docstring() -> None:
    for kind in (JobCluster, lightwork.SharedJobCluster):
        text = f"{JobCluster.__doc__}{kind.__doc__}"
        for name in inspect.signature(kind).parameters:
            assert re.search(rf"\b{name}\b", text), name
    for name in inspect.signature(JobCluster.options).parameters.keys() - {"self"}:
        assert re.search(rf"\b{name}\b", str(JobCluster.options.__doc__)), name
    assert NodeAllocate.__doc__
