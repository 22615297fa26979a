"""The scheduler's state machine, split by table.

Law: no clock, chance, socket, loop, process or log in here; a table changes only in its own file.

    events --> core.Core --+--> clients, sessions    who submitted what
                           +--> queue                in which order jobs wait
                           +--> machines, nodes      who is there, who runs what
                           +--> attempts, endings    what becomes of a job
                           +--> placement, takeback  queue x nodes -> Assign, Revoke
    commands <-------------+    explain              why a job waits, by placement's own predicates
                                views, listing       what people who look in are told
                                check                what must always hold
"""
