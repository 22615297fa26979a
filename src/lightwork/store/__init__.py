"""What is kept outside of a process's own memory: the arena, a durable scheduler's directory, journal and blobs.

Law: the only room that keeps a database; it knows no messages and opens no sockets.
"""
