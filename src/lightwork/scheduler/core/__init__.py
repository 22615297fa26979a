"""The scheduler's state machine, split by table.

Law: no clock, chance, socket, loop, process or log in here; a table changes only in its own file.

    events --> core.Core --+--> clients, sessions    who submitted what
                           +--> queue, delays        in which order jobs wait; and those that failed, until when
                           +--> machines, nodes      who is there, who runs what
                           +--> hosts, host_rules,   what was said about machines, for everybody;
                           |    parting              and nodes that go
                           +--> step, updates        computations in step on all nodes
                           +--> stuck                who is of no use, which job is far slower than its like
                           +--> attempts, losses,    what becomes of attempts,
                           |    endings, retries     and so of a job
                           +--> placement, takeback  queue x nodes -> Assign, Revoke
                           |      field, shapes      nodes as bits, jobs by kind; keeping: nobody starves
                           |      policies, slot_time whose turn it is; exclusive: who runs alone
                           +--> twins                idle slots x slow jobs -> Assign
    commands <-------------+    explain, reasons     why a job waits, by placement's own predicates
                                impossible           what no node could ever run ends
                                refusals             some of those predicates
                                views, listing,      what people who look in are told
                                host_list
                                check                what must always hold
"""
