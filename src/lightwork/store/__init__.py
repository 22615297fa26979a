"""What is kept outside of a process's own memory: files, spools, shared memory.

Law: the only room that keeps state on disk; it knows no messages and opens no sockets.
"""
