"""Lightwork runs Python functions and standalone programs on every machine you can reach.

Names only, each loaded when it is first used: jobs import this module too, under any Python from 3.8 on, and must not
pay for what they do not touch. Nothing inside Lightwork imports it.
"""

TYPE_CHECKING = False  # type checkers take it for true; importing typing would cost more than this whole module
if TYPE_CHECKING:
    from lightwork.client.allocation import NodeAllocate as NodeAllocate
    from lightwork.client.attaching import attach as attach, recover_jobs as recover_jobs
    from lightwork.client.cluster import JobCluster as JobCluster
    from lightwork.client.job import Job as Job
    from lightwork.client.shared import SharedJobCluster as SharedJobCluster
    from lightwork.kit.version import __version__ as __version__
    from lightwork.model.errors import (
        CannotBePlaced as CannotBePlaced,
        CannotTravel as CannotTravel,
        ClusterClosed as ClusterClosed,
        ClusterError as ClusterError,
        ForkedCluster as ForkedCluster,
        JobCancelled as JobCancelled,
        JobError as JobError,
        JobExit as JobExit,
        JobLost as JobLost,
        JobNotRun as JobNotRun,
        JobOutOfMemory as JobOutOfMemory,
        JobPoisoned as JobPoisoned,
        JobTimeout as JobTimeout,
        LightworkError as LightworkError,
        NotInJob as NotInJob,
        NotReady as NotReady,
        PeerError as PeerError,
        ProgramError as ProgramError,
        RemoteError as RemoteError,
        RemoteTraceback as RemoteTraceback,
        ResultCannotTravel as ResultCannotTravel,
        SchedulerGone as SchedulerGone,
        SetupFailed as SetupFailed,
        StartFailed as StartFailed,
        UserError as UserError,
        WhereError as WhereError,
        WouldDeadlock as WouldDeadlock,
    )
    from lightwork.model.states import JobState as JobState
    from lightwork.worker.context import (
        current_job as current_job,
        node_module as node_module,
        node_shutdown as node_shutdown,
        node_value as node_value,
        send_file as send_file,
        send_provisional as send_provisional,
    )

_ROOMS = {
    "lightwork.client.allocation": "NodeAllocate",
    "lightwork.client.attaching": "attach recover_jobs",
    "lightwork.client.cluster": "JobCluster",
    "lightwork.client.job": "Job",
    "lightwork.client.shared": "SharedJobCluster",
    "lightwork.model.states": "JobState",
    "lightwork.model.errors": """
        LightworkError UserError WhereError CannotTravel NotInJob ForkedCluster WouldDeadlock ClusterClosed JobError
        RemoteTraceback RemoteError ProgramError JobExit JobTimeout JobOutOfMemory JobCancelled JobLost
        JobPoisoned JobNotRun ResultCannotTravel SetupFailed PeerError ClusterError SchedulerGone
        StartFailed CannotBePlaced NotReady
    """,
    "lightwork.worker.context": "current_job node_module node_value node_shutdown send_provisional send_file",
    "lightwork.kit.version": "__version__",
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names.split()}

__all__ = [
    "JobCluster",
    "SharedJobCluster",
    "attach",
    "recover_jobs",
    "Job",
    "JobState",
    "NodeAllocate",
    "LightworkError",
    "UserError",
    "WhereError",
    "CannotTravel",
    "NotInJob",
    "ForkedCluster",
    "WouldDeadlock",
    "ClusterClosed",
    "JobError",
    "RemoteTraceback",
    "RemoteError",
    "ProgramError",
    "JobExit",
    "JobTimeout",
    "JobOutOfMemory",
    "JobCancelled",
    "JobLost",
    "JobPoisoned",
    "JobNotRun",
    "ResultCannotTravel",
    "SetupFailed",
    "PeerError",
    "ClusterError",
    "SchedulerGone",
    "StartFailed",
    "CannotBePlaced",
    "NotReady",
    "current_job",
    "node_module",
    "node_value",
    "node_shutdown",
    "send_provisional",
    "send_file",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError("module 'lightwork' has no attribute %r" % name)
    from importlib import import_module

    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> "list[str]":
    return sorted(set(globals()) | set(__all__))
