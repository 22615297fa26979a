"""What the user gives, turned into bytes that travel, and what comes back, turned into values and errors.

Law: beside the worker the only room that pickles; no sockets, no processes, and nothing of the user's is ever changed.
"""
