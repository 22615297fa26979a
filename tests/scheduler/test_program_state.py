"""What `lightwork scheduler` has on disk, where that cannot be taken up."""

from __future__ import annotations

import asyncio

import pytest

from lightwork.kit.owner_log import OwnerLog
from lightwork.model.errors import StartFailed
from lightwork.scheduler.core import facts as fact
from lightwork.scheduler.service.program_state import DurableState
from tests.scheduler.journal_life import Life


def test_records_that_do_not_follow_are_a_fault_of_ours_and_nothing_to_be_mended(tmp_path):
    """`lightwork doctor` would find each record whole, and the journal in order."""

    async def main() -> None:
        async with Life(tmp_path) as life:
            life.record(fact.Began(1, "lab"))
            life.number += 1
            life.journal.record(life.number, fact.Taken("s", [0]))  # of a session that nobody opened
            await life.settled()
        state = DurableState(tmp_path, lambda why: None, OwnerLog())
        with pytest.raises(StartFailed, match=r"record 2 of the journal in .* does not follow") as caught:
            await state.read()
        assert "doctor" not in str(caught.value) and "report it" in str(caught.value)
        await state.close()

    asyncio.run(main())
