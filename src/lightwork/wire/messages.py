"""Every message between programs, one struct each: defined in *_messages.py, here joined by who says them to whom.

Structs are tagged arrays: a newer peer may append fields, an older one ignores them. Columns instead of records where
jobs come by the thousand: index i of each column speaks of one job. A message may have a *body*: raw bytes behind the
header, the payloads of its columns one after another (`lengths` cuts them). Payloads are opaque here.
"""

from __future__ import annotations

import msgspec

from lightwork.wire.client_messages import (
    Accepted,
    Allot,
    Answer,
    AskNodeJobs,
    AskStatus,
    AwaitReady,
    Cancel,
    Close,
    ComputationState,
    ControlNode,
    Define,
    Detach,
    Earlier,
    Named,
    NodeNews,
    Notice,
    OfferNode,
    Opened,
    Provisional,
    Recall,
    RefusedJobs,
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
    Terms,
    Update,
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
    AskOutput,
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
    OutputNow,
    PlaceFile,
    Prepare,
    Prepared,
    Release,
    Released,
    Returned,
    Revoke,
    SetPolicy,
    SetSlots,
    Settled,
    Started,
    Stop,
    Truth,
    Welcome,
)
from lightwork.wire.nouns import (
    FUNCTION,
    MODULE,
    PROGRAM,
    Attempt,
    Attempted,
    Computation,
    Digest,
    File,
    Hardware,
    HostStatus,
    JobOptions,
    JobStatus,
    Load,
    Name,
    NodeStatus,
    Place,
    SessionStatus,
    Tailoring,
    Wanted,
)
from lightwork.wire.relay_messages import ChannelClosed, ChannelCredit, ChannelFrames, ChannelOpened
from lightwork.wire.watcher_messages import (
    AskHosts,
    AskJobs,
    AskLogs,
    AskSessions,
    AskWhy,
    CancelJobs,
    ChangeHosts,
    Hosts,
    Jobs,
    Logs,
    Sessions,
    Why,
)

PROTOCOL = 4
PROTOCOL_OLDEST = 4  # N-1 once there is a release

LinkMessage = Hello | Refused | Goodbye | Fetch | Chunk | Credit | Ping | Pong | Ack
FromClient = (
    Define
    | Submit
    | Cancel
    | Taken
    | AskStatus
    | Close
    | Seek
    | Allot
    | Tailor
    | ControlNode
    | AskNodeJobs
    | SendFile
    | Detach
    | Named
    | Recall
    | AskSessions
    | AskJobs
    | CancelJobs
    | AskLogs
    | Terms
    | Update
    | AwaitReady
    | ChangeHosts
    | AskHosts
    | AskWhy
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
    | Opened
    | Accepted
    | RefusedJobs
    | Earlier
    | Sessions
    | Jobs
    | Logs
    | Hosts
    | Why
)
ToNode = (
    Prepare
    | Assign
    | Revoke
    | Stop
    | Free
    | Release
    | Welcome
    | SetSlots
    | PlaceFile
    | AskHeld
    | Settled
    | AskOutput
    | SetPolicy
)
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
    | Truth
    | OutputNow
)
OfRelays = ChannelOpened | ChannelFrames | ChannelCredit | ChannelClosed
Message = LinkMessage | FromClient | ToClient | ToNode | FromNode | OfRelays

encode = msgspec.msgpack.Encoder().encode

__all__ = [
    "Accepted",
    "Ack",
    "Allot",
    "Answer",
    "AskHeld",
    "AskHosts",
    "AskJobs",
    "AskLogs",
    "AskNodeJobs",
    "AskOutput",
    "AskSessions",
    "AskStatus",
    "AskWhy",
    "Assign",
    "Attempt",
    "AttemptFile",
    "AttemptProvisional",
    "Attempted",
    "AwaitReady",
    "Cancel",
    "CancelJobs",
    "ChangeHosts",
    "ChannelClosed",
    "ChannelCredit",
    "ChannelFrames",
    "ChannelOpened",
    "Chunk",
    "Close",
    "Computation",
    "ComputationState",
    "ControlNode",
    "Credit",
    "Define",
    "Detach",
    "Died",
    "Digest",
    "Earlier",
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
    "HostStatus",
    "Hosts",
    "JobOptions",
    "JobStatus",
    "Jobs",
    "Leaving",
    "LinkMessage",
    "Load",
    "Logs",
    "MODULE",
    "Message",
    "Name",
    "Named",
    "NodeNews",
    "NodeNotice",
    "NodeReady",
    "NodeStatus",
    "Notice",
    "OfRelays",
    "OfferNode",
    "Opened",
    "OutputNow",
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
    "Recall",
    "Refused",
    "RefusedJobs",
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
    "SessionStatus",
    "Sessions",
    "SetPolicy",
    "SetSlots",
    "Settled",
    "Started",
    "Status",
    "Stop",
    "Submit",
    "Tailor",
    "Tailoring",
    "Taken",
    "Terms",
    "ToClient",
    "ToNode",
    "Truth",
    "Update",
    "Wanted",
    "Welcome",
    "Why",
    "encode",
]
