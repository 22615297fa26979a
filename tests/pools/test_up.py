"""`lightwork up` and `down` with a real sshd, on loopback: three hosts of which one is broken, an edit, and the end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cli.helpers import COMMAND, wait_for
from tests.cli.nodes import SECRET
from tests.support.schedulers import Home, Scheduler, at_home, scheduler
from tests.support.sshd import Sshd, sshd

pytestmark = pytest.mark.slow


class Up:
    """`lightwork up`, which follows its file."""

    def __init__(self, home: Home, file: Path, ssh: str) -> None:
        self.file = file
        self._out, self._err = home.path / "up.out", home.path / "up.err"
        command = [*COMMAND, "up", str(file), "--ssh", ssh]
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=home.environment(LIGHTWORK_SECRET=SECRET)
            )

    def says(self, text: str, within_s: float = 60.0) -> None:
        assert wait_for(lambda: text in self.text() or self.process.poll() is not None, within_s), self.text()
        assert text in self.text(), self.text()

    def text(self) -> str:
        return self._out.read_text() + self._err.read_text()


class Farm:
    """Hosts that are all this machine, told apart by their nodes' names."""

    def __init__(self, directory: Path, server: Sshd, port: int) -> None:
        self.file = directory / "hosts.toml"
        self.run = uuid.uuid4().hex[:6]
        self._server, self._port = server, port

    def name(self, host: str) -> str:
        return f"up{self.run}{host}"

    def write(self, *hosts: str) -> None:
        """One in capitals is broken: nobody listens at its port."""
        text = f'scheduler = "127.0.0.1:{self._port}"\n[defaults]\npython = "{sys.executable}"\nslots = 1\n'
        for host in hosts:
            port = 1 if host.isupper() else self._server.port
            text += f'[[host]]\naddress = "127.0.0.1"\nname = "{self.name(host)}"\nssh-port = {port}\n'
        draft = self.file.with_suffix(".new")
        draft.write_text(text)
        draft.replace(self.file)

    def runs(self, word: str) -> bool:
        """Whether a process there has this among its arguments."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if word in process.cmdline():
                    return True
        return False

    def processes(self) -> list[psutil.Process]:
        """Whatever still runs that came over ssh."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("HOME") == str(self._server.home) and process.pid != os.getpid():
                    found.append(process)
        return found


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[tuple[Home, Farm, Sshd, Scheduler]]:
    with at_home(tmp_path / "own") as home, sshd(tmp_path) as server:
        home.path.mkdir(exist_ok=True)
        with scheduler(home, "--listen", "127.0.0.1:0", LIGHTWORK_SECRET=SECRET) as one:
            port = int(one.place().listen[0].rpartition(":")[2])
            made = Farm(tmp_path, server, port)
            try:
                yield home, made, server, one
            finally:
                for process in made.processes():
                    with contextlib.suppress(psutil.Error):
                        process.kill()


def command(home: Home, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words],
        env=home.environment(LIGHTWORK_SECRET=SECRET),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def nodes(home: Home) -> str:
    return command(home, "status").stdout


def test_three_hosts_an_edit_and_the_end(farm: tuple[Home, Farm, Sshd, Scheduler]) -> None:
    home, hosts, server, _ = farm
    hosts.write("a", "b", "BROKEN")
    up = Up(home, hosts.file, server.ssh)
    for host in "ab":
        up.says(f"{hosts.name(host)}: up as process ")
    up.says(f"error: {hosts.name('BROKEN')}: not started: connect to host 127.0.0.1 port 1: Connection refused")
    up.says("hint: does sshd run there, on this port?")
    assert wait_for(lambda: all(hosts.name(host) in nodes(home) for host in "ab"), 20), nodes(home)
    assert SECRET not in " ".join(word for one in hosts.processes() for word in one.cmdline())

    done = command(home, "run", "--scheduler", scheduler_of(hosts), "--nodes", "*", sys.executable, "-c", "print(42)")
    assert "42" in done.stdout, done

    hosts.write("a", "c", "BROKEN")
    up.says(f"{hosts.name('b')}: down")
    up.says(f"{hosts.name('c')}: up as process ")
    assert wait_for(lambda: hosts.name("c") in nodes(home) and hosts.name("b") not in nodes(home), 20), nodes(home)

    hosts.file.write_text("[[hosts]\n")
    up.says("what was there before stays")
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(20) == 0
    assert "the nodes stay" in up.text()
    assert wait_for(lambda: len(hosts.processes()) > 0, 1)

    done = command(home, "down", str(hosts.file), "--force", "--ssh", server.ssh)
    assert done.returncode == 0, done
    assert f"{hosts.name('a')}: down" in done.stdout
    assert f"{hosts.name('c')}: down" in done.stdout
    assert wait_for(lambda: not hosts.processes(), 10), [one.cmdline() for one in hosts.processes()]
    assert "nothing was started" in command(home, "down", str(hosts.file), "--ssh", server.ssh).stderr


def scheduler_of(hosts: Farm) -> str:
    return hosts.file.read_text().partition('scheduler = "')[2].partition('"')[0]


def test_down_waits_for_jobs_and_force_does_not(farm: tuple[Home, Farm, Sshd, Scheduler]) -> None:
    home, hosts, server, _ = farm
    hosts.write("a")
    done = command(home, "up", str(hosts.file), "--once", "--ssh", server.ssh)
    assert done.returncode == 0, done
    assert command(home, "up", str(hosts.file), "--once", "--ssh", server.ssh).stdout == "", "it is there"
    words = ["run", "--scheduler", scheduler_of(hosts), "-a", "600", "sleep"]
    with subprocess.Popen([*COMMAND, *words], env=home.environment(LIGHTWORK_SECRET=SECRET)) as program:
        assert wait_for(lambda: hosts.runs("600"), 30)
        patient = subprocess.Popen(
            [*COMMAND, "down", str(hosts.file), "--ssh", server.ssh], env=home.environment(LIGHTWORK_SECRET=SECRET)
        )
        with pytest.raises(subprocess.TimeoutExpired):
            patient.wait(3)
        done = command(home, "down", str(hosts.file), "--force", "--ssh", server.ssh)
        assert done.returncode == 0, done
        assert patient.wait(30) == 0
        assert wait_for(lambda: not hosts.processes(), 10), [one.cmdline() for one in hosts.processes()]
        program.send_signal(signal.SIGINT)
        program.wait(30)


@pytest.mark.soak  # brings what Lightwork needs from where pip finds it
def test_install_where_it_is_missing(farm: tuple[Home, Farm, Sshd, Scheduler]) -> None:
    home, hosts, server, _ = farm
    hosts.write("a")
    hosts.file.write_text(hosts.file.read_text().replace(sys.executable, sys.executable + ".none"))
    done = command(home, "up", str(hosts.file), "--once", "--ssh", server.ssh)
    assert done.returncode == 1
    assert "Lightwork is not installed there" in done.stderr
    done = command(home, "up", str(hosts.file), "--once", "--install", "--ssh", server.ssh)
    assert done.returncode == 0, done
    assert wait_for(lambda: hosts.name("a") in nodes(home), 20)
    assert (server.home / ".local/share/lightwork/env/bin/lightwork").exists()
    assert command(home, "down", str(hosts.file), "--force", "--ssh", server.ssh).returncode == 0
