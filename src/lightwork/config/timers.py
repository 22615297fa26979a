"""How long things take at most, where several files, or users, go by it. Seconds, unless the name says otherwise.

LIGHTWORK_TIMERS="LEASE_S=2 HEARTBEAT_S=0.2" shortens some for tests, in this process and those that it starts.
"""

from __future__ import annotations

import os

HEARTBEAT_S = 1.0
UNREACHABLE_AFTER_BEATS = 5
LEASE_S = 10.0
RELAY_LEASE_S = 60.0  # the same for nodes behind a relay, whose one link to the scheduler is all that they have
LOST_S = 60.0  # after its lease, a node's `reentrant=False` jobs whose end is unknown are LOST
CLIENT_LEASE_S = 30.0  # a client over a network may be away for so long before its session (not lasting) ends
ORPHAN_S = 2400.0  # attempts of a durable scheduler that cannot be reached run on for so long
KEEP_S = 7 * 86400.0  # results of a lasting session without a client
TWIN_MIN_S = 1.0  # a job gets a twin once it runs longer than this, and than twice the third quartile of its like
TWIN_BLIND_S = 30.0  # the same while none of its like has ended
TWIN_LOOK_S = 0.1  # running jobs are looked at for twins no more often
FAR_S = 60.0  # a job that runs longer, and ten times as long as the third quartile of its like, is pointed out
STUCK_S = 30.0  # a node that is alive, has jobs and idle slots, and starts none of them for so long is set aside
STUCK_MAX_S = 600.0  # and tried again after that time, twice that time, ... so much
BACK_OFF_S = 0.5  # a job that failed waits so long for its second try, twice as long for its third, ...
BACK_OFF_MAX_S = 60.0
AGENT_TICK_S = 0.02  # while attempts run; output of attempts older than this is read by the agent
CANCEL_INTERRUPT_S = 3.0  # from the interrupt to TERM
CANCEL_TERM_S = 1.0  # from TERM to KILL
SAY_WAITING_S = 5.0  # whatever waits longer says what for
ANSWER_S = 30.0  # a scheduler answers who looks into it by then
FOLLOW_S = 0.3  # between two looks at what a running job has written
START_S = 20.0  # a private scheduler must be up by then
WINDOW_S = 0.05  # work handed out ahead, per slot
TAKE_BACK_S = 0.001  # between the revoke word and reading the started word
IDLE_WORKER_S = 60.0
HELLO_S = 10.0
LINK_CLOSE_S = 3.0  # a closing link may take so long to get its last words out
DEAD_PEER_S = 30.0  # the system ends a TCP connection on which nothing gets through for so long
DEAD_SCHEDULER_S = 15.0  # the same for a client's: half its lease, so that it is back before that is over
CONNECT_S = 3.0  # to another machine, from the name look-up to its hello: then we say what is wrong
RELINK_S = 0.1  # a client whose link broke dials again after so long, then after twice that, ...
RELINK_MAX_S = 2.0
STRANGER_S = 10.0  # who takes its connections all this time and does not say who it is, is no scheduler
BUSY_S = 1.0  # and one whose session is in use asks again so often
RETRY_S = 2.0  # between two tries to reach somebody, in the first minute
RETRY_MAX_S = 15.0  # and later
FIRST_MINUTE_S = 60.0  # how long that is
AT_ONCE_S = 0.1  # who was there until its link broke is dialled again after so long
ASK_NETWORK_S = 5.0  # between two questions to the whole network who is there
ASK_AGAIN_S = 1.2  # each question is said twice, for datagrams get lost
GATHER_ANSWERS_S = 0.1  # a node that answers by several addresses is told by the best of them
LOOK_INTERFACES_S = 10.0  # how often a node looks for networks that it was not on before
LOOK_HOSTS_S = 1.0  # how often a scheduler looks whether its file of hosts was edited
NO_NODE_S = 2.5  # jobs that no node may run for so long make their user hear of it
LINE_S = 6.0  # a claimed node keeps the place of a waiting scheduler that has not asked again for so long
LINE_AGAIN_S = 1.0  # and who waits there, or a relay for it, asks so often

JOURNAL_FULL_S = 1.0  # how often a full disk is tried again
JOURNAL_PREDECESSOR_S = 10.0  # the journal process of a scheduler that was killed finishes what it has read


def lease_s(pulse_s: float = 0.0) -> float:
    """How long a node keeps a claim without a word, for heartbeats at this interval (0: the usual one)."""
    return max(LEASE_S, 2 * UNREACHABLE_AFTER_BEATS * pulse_s)


def _shorten(given: str) -> None:
    """Take what LIGHTWORK_TIMERS says; ValueError for a name that is no timer."""
    for item in given.split():
        name, _, value = item.partition("=")
        if not name.isupper() or not isinstance(globals().get(name), int | float):
            raise ValueError(f"LIGHTWORK_TIMERS: {name!r} is no timer")
        globals()[name] = float(value)


_shorten(os.environ.get("LIGHTWORK_TIMERS", ""))
