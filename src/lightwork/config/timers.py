"""How long things take at most, in one place. Seconds, unless the name says otherwise."""

from __future__ import annotations

HEARTBEAT_S = 1.0
UNREACHABLE_AFTER_BEATS = 5
LEASE_S = 10.0
AGENT_TICK_S = 0.02  # while attempts run; output of attempts older than this is read by the agent
CANCEL_INTERRUPT_S = 3.0  # from the interrupt to TERM
CANCEL_TERM_S = 1.0  # from TERM to KILL
SAY_WAITING_S = 5.0  # whatever waits longer says what for
START_S = 20.0  # a private scheduler must be up by then
WINDOW_S = 0.05  # work handed out ahead, per slot
TAKE_BACK_S = 0.001  # between the revoke word and reading the started word
IDLE_WORKER_S = 60.0
HELLO_S = 10.0
LINK_CLOSE_S = 3.0  # a closing link may take so long to get its last words out
