"""Real nodes whose owners have their own mind: hours, so many clients, another user for jobs, a module of theirs."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import lightwork
from lightwork import JobState
from tests.e2e.helpers import wait_until
from tests.support.nodes import Start

SITE = Path(psutil.__file__).parents[1]
SOURCE = Path(lightwork.__file__).parents[1]
USER = "nobody"


def clock(seconds: float) -> str:
    """So many seconds from now, as an owner writes it."""
    return time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))


def work(number: int, seconds: float) -> tuple[str, float]:
    """Where it began, and when."""
    began = time.time()
    time.sleep(seconds)
    return lightwork.current_job().node, began


@pytest.mark.slow
def test_hours_end_and_begin_while_jobs_run(start: Start) -> None:
    """At `stop` it gets no more, at `end` what still runs there goes to the other node; then it opens again."""
    opened = time.time()
    again = opened + 18
    hours = ["--service-start", clock(18), "--service-stop", clock(8), "--service-end", clock(11)]
    other, night = start("other", slots=2), start("night", slots=2, options=hours)
    with lightwork.JobCluster(work, nodes=[night.address, other.address]) as cluster:
        wait_until(lambda: len(cluster.nodes) == 2, "both nodes are there")
        long = [cluster.submit(0, 12.0) for _ in range(4)]
        wait_until(lambda: "closed until" in night.log.read_text(), "its hours are over")
        jobs = [cluster.submit(number, 0.1) for number in range(20)]
        found = [job.get(60) for job in (*long, *jobs)]
        wait_until(lambda: "open: its hours are" in night.log.read_text(), "it opens again", 30)
        wait_until(lambda: any(node.name == night.name for node in cluster.nodes), "it is back", 30)
        late = [cluster.submit(number, 0.2) for number in range(12)]
        back = [job.get(60) for job in late]
    closing, closed = opened + 8, opened + 11
    for name, began in found:
        assert not (name == night.name and closing + 1 < began < again - 1), found
    assert all(job.status is JobState.FINISHED for job in (*long, *jobs, *late))
    assert [began for _, began in found[:4] if began > closed - 1], "one of the long ones had to begin again"
    assert night.name in {name for name, _ in back}
    assert "2 jobs here must end now, and can run elsewhere" in night.log.read_text()


def test_it_ends_when_its_clients_are_served(start: Start) -> None:
    node = start("once", options=["--serve", "1"])
    with lightwork.JobCluster(work, nodes=[node.address]) as cluster:
        assert cluster.submit(1, 0.0).get(30)[0] == node.name
    assert node.wait() == 0
    assert "this node ends: it has served 1 client, as it was told" in node.log.read_text()


class Interrupted(Exception):
    """The test has seen enough."""


def test_clean_removes_what_a_killed_node_left(start: Start, tmp_path: Path) -> None:
    depends = tmp_path / "data.bin"
    depends.write_bytes(b"x" * 100_000)
    node = start("killed")
    cluster = lightwork.JobCluster(work, nodes=[node.address], depends=[depends])
    with pytest.raises(Interrupted), cluster:
        job = cluster.submit(1, 600)
        wait_until(lambda: job.status is JobState.RUNNING, "it runs")
        command = [sys.executable, "-m", "lightwork", "node", "--name", node.name, "--serve", "0", "--clean"]
        living = subprocess.run(command, capture_output=True, text=True)
        assert living.returncode == 1
        assert "runs: it has left nothing yet" in living.stderr
        assert f"kill {node.process.pid}" in living.stderr
        os.kill(node.process.pid, signal.SIGKILL)
        node.wait()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "of files of an earlier node removed" in done.stderr
        raise Interrupted
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "no files of an earlier node" in again.stderr


def born_with() -> bytes:
    """What the process of a worker, or one above it, was given as its environment."""
    return Path("/proc/self/environ").read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not show it")
def test_no_process_of_jobs_was_ever_given_the_secret(start: Start) -> None:
    """`lightwork up` gives it to nodes in their environment; to forget it is too late: the system remembers."""
    node = start("discreet")
    with lightwork.JobCluster(born_with, nodes=[node.address]) as cluster:
        told = cluster.submit().get(30)
    assert b"LIGHTWORK_BELOW=" in told
    assert os.environ["LIGHTWORK_SECRET"].encode() not in told


def test_groups_weight_and_resources_are_seen(start: Start) -> None:
    options = ["--group", "lab", "--weight", "5", "--resource", "tape=2", "--resource", "gpu=1"]
    node = start("rich", slots=1, options=options)
    with lightwork.JobCluster(gpus, nodes=[node.address]) as cluster:
        assert cluster.options(resources={"gpu": 1, "tape": 1}).submit().get(30)[1] == "0"
        assert cluster.options(where="group == 'lab' and weight == 5").submit().get(30)[1] is None
        [status] = cluster.status().nodes
        assert dict(status.resources)["tape"] == 2


def gpus() -> tuple[str, str | None]:
    return lightwork.current_job().node, os.environ.get("LIGHTWORK_GPUS")


# --- another user ---


def who(path: str) -> dict[str, Any]:
    """All that a job can find out about itself, and try."""
    with open("made.txt", "w") as out:
        out.write("made")
    lightwork.send_file("made.txt")
    try:
        with open(path) as secret:
            read = secret.read()
    except PermissionError:
        read = "refused"
    with open("/dev/stdout", "w") as again:
        again.write("said again")
    home, mine = os.environ["HOME"], os.stat("given.txt").st_uid
    return {
        "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(), "home": home, "file": mine, "read": read,
        "module": lightwork.node_module().uid, "result": b"x" * 2_000_000,
    }  # fmt: skip


@pytest.fixture
def python_for_all(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An interpreter that another user may run, too, with our packages."""
    if os.geteuid() != 0:
        pytest.skip("only root can let jobs run as another user")
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for path in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        if shutil.which(path) and _may_run(path):
            monkeypatch.setenv("PYTHONPATH", f"{SITE}:{SOURCE}")
            yield path
            return
    pytest.skip(f"no {version} here that {USER} could run")


def _may_run(path: str) -> bool:
    user = pwd.getpwnam(USER)
    code = "import sys, json, mmap; assert sys.version_info[:2] == (%d, %d)" % sys.version_info[:2]
    try:
        return not subprocess.run([path, "-c", code], user=user.pw_uid, group=user.pw_gid, cwd="/").returncode
    except PermissionError:
        return False


def test_jobs_run_as_another_user(
    start: Start, tmp_path: Path, python_for_all: str, request: pytest.FixtureRequest
) -> None:
    """Functions, setup, programs, files both ways; they reach nothing of root's, and root ends them all."""
    user = pwd.getpwnam(USER)
    secret, given, init = tmp_path / "secret", tmp_path / "given.txt", Path("/var/tmp") / f"init-{os.getpid()}.py"
    secret.write_text("root's")
    secret.chmod(0o600)
    given.write_text("given")
    init.write_text("import os\nuid = os.getuid()\n")
    init.chmod(0o644)
    request.addfinalizer(init.unlink)
    node = start("jobs", options=["--job-user", USER, "--init", str(init)], python=python_for_all)
    out = tmp_path / "out"
    with lightwork.JobCluster(
        who, nodes=[node.address], depends=[given], outputs=["made*"], outputs_dir=out
    ) as cluster:
        job = cluster.submit(str(secret))
        told = job.get(30)
        assert told.pop("result") == b"x" * 2_000_000
        assert told == {
            "uid": user.pw_uid, "gid": user.pw_gid, "groups": os.getgrouplist(USER, user.pw_gid), "home": user.pw_dir,
            "file": user.pw_uid, "read": "refused", "module": user.pw_uid,
        }  # fmt: skip
        assert "said again" in job.stdout
        assert {path.read_text() for path in out.rglob("made.txt")} == {"made"}
        slow = cluster.options(computation=fork_and_hang).submit()
        wait_until(lambda: len(_of(user.pw_uid)) >= 2, "it runs")
        slow.cancel()
        wait_until(lambda: slow.finish.is_set(), "it is ended")
    with lightwork.JobCluster("sh", nodes=[node.address]) as cluster:
        program = cluster.submit("-c", "id -u; echo $HOME $USER")
        program.get(30)
        assert program.stdout == f"{user.pw_uid}\n{user.pw_dir} {USER}\n"


def cut_off() -> None:
    """What a worker shares with its agent, and what it has of the memory that all of them share."""
    names = [line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(".ring")]
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
    for name in names:
        os.truncate(name, 0)


def test_a_job_of_another_user_does_not_kill_the_node(start: Start, python_for_all: str) -> None:
    node = start("tough", options=["--job-user", USER], python=python_for_all)
    with lightwork.JobCluster(cut_off, nodes=[node.address]) as cluster:
        with pytest.raises(lightwork.LightworkError, match="workers die"):
            cluster.submit().get(60)
    with lightwork.JobCluster(born_with, nodes=[node.address]) as cluster:
        assert cluster.submit().get(30)


def fork_and_hang() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    time.sleep(600)


def _of(uid: int) -> list[int]:
    return [one.pid for one in psutil.process_iter(["uids"]) if one.info["uids"] and one.info["uids"].real == uid]


def test_jobs_of_another_user_are_where_the_owner_wants_them(
    start: Start, python_for_all: str, request: pytest.FixtureRequest
) -> None:
    base = Path("/var/tmp") / f"base-{os.getpid()}"
    request.addfinalizer(lambda: shutil.rmtree(base))
    node = start("there", options=["--job-user", USER, "--directory", str(base)], python=python_for_all)
    with lightwork.JobCluster(os.getcwd, nodes=[node.address]) as cluster:
        assert cluster.submit().get(30).startswith(f"{base}/lightwork-0.jobs/{node.name}/")


def test_only_root_has_job_users(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lightwork", "node", "--job-user"]
    root = os.geteuid() == 0
    for name, says in (("no-such-user", "there is no such user"), ("root", "that is root")) if root else ():
        done = subprocess.run([*command, name], capture_output=True, text=True)
        assert done.returncode == 2
        assert says in done.stderr
    if not root:
        done = subprocess.run([*command, "nobody"], capture_output=True, text=True)
        assert done.returncode == 2
        assert "only root can let jobs run as another user" in done.stderr
