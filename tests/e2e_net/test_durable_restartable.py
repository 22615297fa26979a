"""The restartable script over a shared scheduler, killed three times at random points of 10,000 jobs."""

from __future__ import annotations

import subprocess
from typing import Any

from tests.support.durable import DurableFarm
from tests.support.restartable import Story


def test_the_union_holds_every_job() -> None:
    with DurableFarm("a", "b", timers="") as farm:
        farm.scheduler()
        farm.joins("a")
        farm.joins("b")
        story = Story(farm.directory, "SharedJobCluster", {"scheduler": "s"})
        environment = farm.environment(None, None)

        def start(command: list[str]) -> subprocess.Popen[Any]:
            return farm["u"].popen(command, env=environment, stdout=subprocess.DEVNULL)

        story.tell(start)
        story.judge()
