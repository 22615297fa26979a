"""How large things get at most, in one place. Bytes, unless the name says otherwise."""

from __future__ import annotations

HEADER_MAX = 4 << 20  # a message without its body
BODY_MAX = 64 << 20
CHUNK = 64 << 10
STREAM_CREDIT = 1 << 20  # bytes of one stream under way
SEND_QUEUE_MAX = 64 << 20  # unsent control bytes on one link: then submit waits
INLINE_MAX = 256 << 10  # larger payloads live in the arena
DEATHS_MAX = 3  # a job that killed so many workers is poisoned
DISK_FREE_MIN = 64 << 20  # a node with less gets no work until it has twice that
MEMORY_FREE_MIN = 0.02  # of its memory: the same, if little swap is left as well
SWAP_FREE_MIN = 10.0  # percent
COMMAND_JOBS_MAX = 4096  # in one message between scheduler, clients and nodes
HISTORY_MAX = 1000  # attempts behind jobs that one of them tells of: the last ones, if a single job has more
COMMAND_BYTES_MAX = 8 << 20  # of bodies in one of them, unless one job alone has more
AHEAD_BYTES_MAX = 32 << 20  # of arguments that a node holds beyond its busy slots
WINDOW_JOBS_MAX = 4096  # per slot
BATCH_JOBS_MAX = 512  # in one frame to a worker
SUBMIT_JOBS_MAX = 256  # in one message from a client
OUTPUT_PIECE = 512 << 10  # of one output stream of a job, in one message to who watches it
WATCHERS_MAX = 256  # that look into one scheduler at the same time
WATCHER_QUESTIONS_MAX = 64  # of one of them that wait for their answers
WATCHED_JOBS_MAX = 10_000  # that one answer tells of
WATCHED_BYTES_MAX = 2 << 20  # that their rows take
WATCHED_NUMBERS_MAX = 100_000  # that one answer names
HELLO_MAX = 16 << 10  # all that a stranger may send before the hello is accepted
READ_BUFFER = 256 << 10  # a link's one receive buffer, once it is busy
WRITE_MAX = 256 << 10  # given to the socket at once
STREAMS_MAX = 1024  # that a peer may ask of us at once on one link
STREAMS_ASKED = 64  # that we ask of a peer at once; further ones wait
BEACON_ANSWERS_MAX = 200  # in a second, that a node gives to whoever asks the network who is there
BEACON_HOST_ANSWERS_MAX = 10  # of them to one host
BEACON_PLACES_MAX = 4096  # that one question to the network may bring
BEACON_HOST_PORTS_MAX = 64  # of them on one host
BEACON_SOCKETS_MAX = 64  # addresses of this machine from which it asks the network
JOURNAL_CHECKPOINT = 4 << 20  # so much log, and it is folded into the journal's file
JOURNAL_COMPACTED_FROM = 4 << 20  # a smaller journal is not worth it
JOURNAL_RESERVE = 8 << 20  # given up when the disk is full
JOURNAL_SPARE = 4 << 20  # must be free beside a new reserve
STRANGERS_MAX = 512  # connections to one listener that have not come as far as the hello; the oldest make room
STRANGERS_A_SOURCE = 128  # of them from one machine (IPv6: one network)
STRANGER_BYTES_MAX = 64 << 10  # of a TLS handshake and the hello together
KEPT_SEGMENT = 4 << 20  # of what a node keeps for a durable scheduler, in one file
KEPT_SPARE = 16 << 20  # of such files may be of no use any more
KEPT_SCHEDULERS = 32  # for so many that do not come back a node keeps what it has of theirs
KEPT_TELLING = 32 << 20  # of it is under way to one that has come back
