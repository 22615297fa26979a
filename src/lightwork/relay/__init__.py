"""The program on a gateway: one link to the scheduler carries those of all nodes of a network; files cross it once.

Law: it greets nodes and answers for files that it keeps; all else passes through unread. No pickle, no attempt, no job.
"""
