"""Clusters over the fake scheduler."""

from __future__ import annotations

import functools

import pytest

from lightwork.client import ending, launch, opening
from lightwork.client.cluster import JobCluster
from tests.client import fake_scheduler


@pytest.fixture(autouse=True)
def nobody_s_secret(monkeypatch, tmp_path):
    """No credential but what a test gives."""
    monkeypatch.delenv("LIGHTWORK_SECRET", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def make(monkeypatch):
    """make(function, hold=, answer=, node=, arenas=, **options) -> (cluster, fake); the first four are the fake's."""
    made = []

    def open_fake(server, reporting):
        return opening.join(fake_scheduler.dial(server), server, reporting)

    monkeypatch.setattr(opening, "open_private", open_fake)

    def make(
        computation=None, *, hold=False, answer=fake_scheduler.run, node=fake_scheduler.NODE, arenas=None, **options
    ):
        private = functools.partial(fake_scheduler.FakePrivate, hold=hold, answer=answer, node=node, arenas=arenas)
        monkeypatch.setattr(launch, "Private", private)
        cluster = JobCluster(computation, **options)
        made.append(cluster)
        return cluster, fake_scheduler.FakePrivate.made[-1].fake

    yield make
    for cluster in made:
        if not cluster._closed:
            cluster._closed = True
            ending.remove(cluster)
            cluster._session.sever()
    fake_scheduler.FakePrivate.made.clear()
