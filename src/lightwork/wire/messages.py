"""Every message between client, scheduler and node, one struct each.

Structs are tagged arrays: a newer peer may append fields, an older one ignores them. Columns instead of records where
jobs come by the thousand: index i of each column speaks of one job. A message may have a *body*: raw bytes behind the
header, the payloads of its columns one after another (`lengths` cuts them). Payloads are opaque here.
"""

from __future__ import annotations

import msgspec

from lightwork.wire.client_messages import (
    AskStatus,
    Cancel,
    Close,
    ComputationState,
    Define,
    NodeNews,
    Notice,
    Provisional,
    Requeued,
    Results,
    Running,
    SentFile,
    Status,
    Submit,
    Taken,
)
from lightwork.wire.link_messages import (
    Chunk,
    Credit,
    Fetch,
    Goodbye,
    Hello,
    Ping,
    Pong,
    Refused,
)
from lightwork.wire.node_messages import (
    Assign,
    AttemptFile,
    AttemptProvisional,
    Died,
    Ended,
    Free,
    Heartbeat,
    NodeNotice,
    NodeReady,
    Prepare,
    Prepared,
    Release,
    Released,
    Returned,
    Revoke,
    Started,
    Stop,
)
from lightwork.wire.nouns import (
    FUNCTION,
    MODULE,
    PROGRAM,
    Computation,
    Digest,
    File,
    Hardware,
    JobOptions,
    Load,
    Name,
    NodeStatus,
    Place,
)

PROTOCOL = 1
PROTOCOL_OLDEST = 1  # N-1 once there is an N

LinkMessage = Hello | Refused | Goodbye | Fetch | Chunk | Credit | Ping | Pong
FromClient = Define | Submit | Cancel | Taken | AskStatus | Close
ToClient = Results | Running | Requeued | Provisional | SentFile | Notice | NodeNews | Status | ComputationState
ToNode = Prepare | Assign | Revoke | Stop | Free | Release
FromNode = (
    NodeReady
    | Heartbeat
    | Prepared
    | Started
    | Ended
    | Returned
    | Died
    | AttemptProvisional
    | AttemptFile
    | Released
    | NodeNotice
)
Message = LinkMessage | FromClient | ToClient | ToNode | FromNode

encode = msgspec.msgpack.Encoder().encode

__all__ = [
    "AskStatus",
    "Assign",
    "AttemptFile",
    "AttemptProvisional",
    "Cancel",
    "Chunk",
    "Close",
    "Computation",
    "ComputationState",
    "Credit",
    "Define",
    "Died",
    "Digest",
    "Ended",
    "FUNCTION",
    "Fetch",
    "File",
    "Free",
    "FromClient",
    "FromNode",
    "Goodbye",
    "Hardware",
    "Heartbeat",
    "Hello",
    "JobOptions",
    "LinkMessage",
    "Load",
    "MODULE",
    "Message",
    "Name",
    "NodeNews",
    "NodeNotice",
    "NodeReady",
    "NodeStatus",
    "Notice",
    "PROGRAM",
    "PROTOCOL",
    "PROTOCOL_OLDEST",
    "Ping",
    "Place",
    "Pong",
    "Prepare",
    "Prepared",
    "Provisional",
    "Refused",
    "Release",
    "Released",
    "Requeued",
    "Results",
    "Returned",
    "Revoke",
    "Running",
    "SentFile",
    "Started",
    "Status",
    "Stop",
    "Submit",
    "Taken",
    "ToClient",
    "ToNode",
    "encode",
]
