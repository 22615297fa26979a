"""Every message between client, scheduler and node, one struct each.

Structs are tagged arrays: a newer peer may append fields, an older one ignores them. Columns instead of records where
jobs come by the thousand: index i of each column speaks of one job. A message may have a *body*: raw bytes behind the
header, the payloads of its columns one after another (`lengths` cuts them). Payloads are opaque here.
"""

from __future__ import annotations

import msgspec

from lightwork.wire.client_messages import (
    Allot,
    Answer,
    AskNodeJobs,
    AskStatus,
    Cancel,
    Close,
    ComputationState,
    ControlNode,
    Define,
    NodeNews,
    Notice,
    OfferNode,
    Provisional,
    Requeued,
    Results,
    Running,
    Seek,
    SendFile,
    SentFile,
    Status,
    Submit,
    Tailor,
    Taken,
)
from lightwork.wire.link_messages import (
    Ack,
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
    AskHeld,
    Assign,
    AttemptFile,
    AttemptProvisional,
    Died,
    Ended,
    FilePlaced,
    Free,
    Heartbeat,
    HeldNow,
    Leaving,
    NodeNotice,
    NodeReady,
    PlaceFile,
    Prepare,
    Prepared,
    Release,
    Released,
    Returned,
    Revoke,
    SetSlots,
    Started,
    Stop,
    Welcome,
)
from lightwork.wire.nouns import (
    FUNCTION,
    MODULE,
    PROGRAM,
    Attempted,
    Computation,
    Digest,
    File,
    Hardware,
    JobOptions,
    Load,
    Name,
    NodeStatus,
    Place,
    Tailoring,
    Wanted,
)

PROTOCOL = 2
PROTOCOL_OLDEST = 2  # N-1 once there is a release

LinkMessage = Hello | Refused | Goodbye | Fetch | Chunk | Credit | Ping | Pong | Ack
FromClient = (
    Define | Submit | Cancel | Taken | AskStatus | Close | Seek | Allot | Tailor | ControlNode | AskNodeJobs | SendFile
)
ToClient = (
    Results
    | Running
    | Requeued
    | Provisional
    | SentFile
    | Notice
    | NodeNews
    | Status
    | ComputationState
    | Answer
    | OfferNode
)
ToNode = Prepare | Assign | Revoke | Stop | Free | Release | Welcome | SetSlots | PlaceFile | AskHeld
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
    | Leaving
    | FilePlaced
    | HeldNow
)
Message = LinkMessage | FromClient | ToClient | ToNode | FromNode

encode = msgspec.msgpack.Encoder().encode

__all__ = [
    "Ack",
    "Allot",
    "Answer",
    "AskHeld",
    "AskNodeJobs",
    "AskStatus",
    "Assign",
    "AttemptFile",
    "AttemptProvisional",
    "Attempted",
    "Cancel",
    "Chunk",
    "Close",
    "Computation",
    "ComputationState",
    "ControlNode",
    "Credit",
    "Define",
    "Died",
    "Digest",
    "Ended",
    "FUNCTION",
    "Fetch",
    "File",
    "FilePlaced",
    "Free",
    "FromClient",
    "FromNode",
    "Goodbye",
    "Hardware",
    "Heartbeat",
    "HeldNow",
    "Hello",
    "JobOptions",
    "Leaving",
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
    "OfferNode",
    "PROGRAM",
    "PROTOCOL",
    "PROTOCOL_OLDEST",
    "Ping",
    "Place",
    "PlaceFile",
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
    "Seek",
    "SendFile",
    "SentFile",
    "SetSlots",
    "Started",
    "Status",
    "Stop",
    "Submit",
    "Tailor",
    "Tailoring",
    "Taken",
    "ToClient",
    "ToNode",
    "Wanted",
    "Welcome",
    "encode",
]
