"""An interrupt from the agent becomes KeyboardInterrupt in the job that it is meant for, and in no other.

The agent stores CANCEL and sends SIGINT (Windows: CTRL_BREAK, which arrives as SIGBREAK). A job may catch
KeyboardInterrupt and still return its best result.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

from lightwork.wire.shared_file import CANCEL, STARTED
from lightwork.worker.link import Hand


def install(words: memoryview, hand: Hand) -> None:
    """Set the handler, for the life of this worker."""

    def interrupted(number: int, frame: Any) -> None:
        if words[CANCEL] != words[STARTED]:
            return  # it was meant for a job that has ended
        if not hand.open:
            hand.late = words[CANCEL]
            return
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupted)
    if sys.platform == "win32":
        signal.signal(signal.SIGBREAK, interrupted)
