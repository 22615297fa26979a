"""What `--json` shows: plain documents with keys that stay as they are, units in their names."""

from __future__ import annotations

from typing import Any

from lightwork.model.states import JobState
from lightwork.wire.messages import Attempted, HostStatus, JobStatus, Logs, NodeStatus, SessionStatus, Status

SECOND_NS = 1_000_000_000


def session(status: SessionStatus) -> dict[str, Any]:
    """A session."""
    return {
        "name": status.name,
        "user": status.user,
        "host": status.host,
        "attached": status.attached,
        "lasting": status.lasting,
        "queued": status.queued,
        "running": status.running,
        "kept": status.ended,
        "finished": status.finished,
        "age_s": round(status.age_s, 3),
        "away_s": round(status.away_s, 3),
        "weight": status.weight,
        "exclusive": status.exclusive,
        "slot_time_s": round(status.slot_time_s, 3),
    }


def job(status: JobStatus) -> dict[str, Any]:
    """A job."""
    return {
        "session": status.session,
        "number": status.number,
        "state": state_name(status.state),
        "computation": status.computation,
        "node": status.node,
        "start_s": status.start_ns / SECOND_NS if status.start_ns else None,
        "duration_s": status.duration_ns / SECOND_NS if status.start_ns else None,
        "attempts": status.attempts,
        "key": status.key,
        "text": status.text,
        "priority": status.priority,
    }


def state_name(state: int) -> str:
    """As it is written on the command line; of a newer scheduler, its number."""
    return JobState(state).name.lower() if state in list(JobState) else str(state)


def status(told: Status) -> dict[str, Any]:
    """How things stand."""
    return {
        "queued": told.queued,
        "running": told.running,
        "nodes": [node(one) for one in told.nodes],
        "waiting": told.waiting,
        "attempted": [attempted(one) for one in told.attempted],
        "pids": told.pids,
        "twins_started": told.twins_started,
        "twins_won": told.twins_won,
        "retried": told.retried,
        "slow": told.slow,
    }


def node(one: NodeStatus) -> dict[str, Any]:
    """A node."""
    load, hardware = one.load, one.hardware
    return {
        "name": one.name,
        "address": one.address,
        "state": one.state,
        "slots": one.slots,
        "slots_offered": one.offered,
        "busy": one.busy,
        "jobs_done": one.jobs_done,
        "job_time_s": one.job_time_ns / SECOND_NS,
        "in_bytes": one.bytes_in,
        "out_bytes": one.bytes_out,
        "worker_pids": one.workers,
        "pythons": list(one.pythons),
        "labels": dict(one.labels),
        "groups": list(one.groups),
        "weight": one.weight,
        "resources": dict(one.resources),
        "relay": one.relay,
        "cpu_free_percent": load.cpu_free_percent if load is not None else None,
        "memory_free_bytes": load.memory_free_bytes if load is not None else None,
        "disk_free_bytes": load.disk_free_bytes if load is not None else None,
        "swap_free_percent": load.swap_free_percent if load is not None else None,
        "load_average": load.load_average if load is not None else None,
        "system": hardware.system if hardware is not None else "",
        "architecture": hardware.architecture if hardware is not None else "",
        "cores": hardware.cores if hardware is not None else None,
        "memory_bytes": hardware.memory_bytes if hardware is not None else None,
        "gpus": list(hardware.gpus) if hardware is not None else [],
    }


def host(one: HostStatus) -> dict[str, Any]:
    """A machine."""
    return {
        "name": one.name,
        "address": one.address,
        "state": one.state,
        "groups": list(one.groups),
        "by": one.by,
        "text": one.text,
        "policy": one.policy,
    }


def attempted(one: Attempted) -> dict[str, Any]:
    """Where a node was looked for."""
    return {"address": one.address, "state": one.state, "text": one.text, "hint": one.hint}


def logs(told: Logs, stdout: bytes, stderr: bytes, left_out: tuple[int, int]) -> dict[str, Any]:
    """What a job has written. Bytes that are no UTF-8 are escaped."""
    return {
        "state": state_name(told.state),
        "attempts": told.attempts,
        "stdout": stdout.decode("utf-8", "backslashreplace"),
        "stderr": stderr.decode("utf-8", "backslashreplace"),
        "stdout_left_out_bytes": left_out[0],
        "stderr_left_out_bytes": left_out[1],
    }
