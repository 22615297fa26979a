"""How large things get at most, in one place. Bytes, unless the name says otherwise."""

from __future__ import annotations

HEADER_MAX = 4 << 20  # a message without its body
BODY_MAX = 64 << 20
CHUNK = 64 << 10
STREAM_CREDIT = 1 << 20  # bytes of one stream under way
SEND_QUEUE_MAX = 64 << 20  # unsent control bytes on one link: then submit waits
INLINE_MAX = 256 << 10  # larger payloads live in the arena
DEATHS_MAX = 3  # a job that killed so many workers is poisoned
COMMAND_JOBS_MAX = 4096  # in one message between scheduler, clients and nodes
COMMAND_BYTES_MAX = 8 << 20  # of bodies in one of them, unless one job alone has more
AHEAD_BYTES_MAX = 32 << 20  # of arguments that a node holds beyond its busy slots
WINDOW_JOBS_MAX = 4096  # per slot
BATCH_JOBS_MAX = 512  # in one frame to a worker
SUBMIT_JOBS_MAX = 256  # in one message from a client
HELLO_MAX = 16 << 10  # all that a stranger may send before the hello is accepted
READ_BUFFER = 256 << 10  # a link's one receive buffer, once it is busy
WRITE_MAX = 256 << 10  # given to the socket at once
STREAMS_MAX = 1024  # that a peer may ask of us at once on one link
STREAMS_ASKED = 64  # that we ask of a peer at once; further ones wait
