"""One host of a lab: programs in it, its interfaces, its firewall. See lab.py for the whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

LIMIT_S = 15.0
PATH = os.pathsep.join(
    [str(Path(sys.executable).parent), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
)


class Counters(NamedTuple):
    """Bytes that an interface has received and sent."""

    rx: int
    tx: int


class Interface(NamedTuple):
    """A card of a host, and the port of the hub that its cable goes to."""

    name: str
    port: str
    addresses: tuple[str, ...]


class Program:
    """A running program of a host; what it says goes to files, so it never waits for a reader."""

    def __init__(self, popen: subprocess.Popen[Any], out: Path, err: Path) -> None:
        self.popen, self.pid = popen, popen.pid
        self._out, self._err = out, err

    @property
    def out(self) -> str:
        """What it has written to stdout so far."""
        return self._out.read_text(encoding="utf-8", errors="replace")

    @property
    def err(self) -> str:
        """What it has written to stderr so far."""
        return self._err.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str, limit_s: float = LIMIT_S) -> None:
        """Until it has said this, on stdout or stderr."""
        end = time.monotonic() + limit_s
        while text not in self.out and text not in self.err:
            over = self.popen.poll() is not None and text not in self.out + self.err
            if over or time.monotonic() > end:
                why = f"it ended with {self.popen.returncode}" if over else f"{limit_s} s are over"
                raise AssertionError(f"not said: {text!r}; {why}\nstdout: {self.out}\nstderr: {self.err}")
            time.sleep(0.02)

    def wait(self, limit_s: float = LIMIT_S) -> int:
        """Its exit code."""
        try:
            return self.popen.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there after {limit_s} s\nstdout: {self.out}\nstderr: {self.err}") from None

    def signal(self, number: int) -> None:
        """Send it a signal (to the program, not to what it started)."""
        self.popen.send_signal(number)


class Host:
    """A machine of its own: network, hostname, HOME, /tmp, /var/tmp, /dev/shm, /etc/hosts; files and processes apart
    from those places are this machine's.
    """

    def __init__(self, name: str, namespace: str, hub: str, directory: Path) -> None:
        self.name = name
        self.namespace = namespace
        self.home = directory / "home"  # the same path inside and outside
        self.work = directory / "work"  # where programs start; empty
        self.runtime = directory / "run"
        self.interfaces: dict[str, Interface] = {}
        self.environment = {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "USER": "root",
            "LOGNAME": "root",
            **{key: value for key, value in os.environ.items() if key.startswith("LIGHTWORK_TEST_")},
        }
        self._hub, self._directory = hub, directory
        self._holder: subprocess.Popen[str] | None = None
        self._popens: list[subprocess.Popen[Any]] = []
        self._programs = 0
        self._captures = 0

    # ---------------------------------------------------------------- addresses

    @property
    def addresses(self) -> list[str]:
        """All of them, in the order in which they were given."""
        return [address for interface in self.interfaces.values() for address in interface.addresses]

    @property
    def address(self) -> str:
        """The first IPv4 address, else the first of all."""
        return next((address for address in self.addresses if ":" not in address), self.addresses[0])

    @property
    def address6(self) -> str | None:
        """The first IPv6 address."""
        return next((address for address in self.addresses if ":" in address), None)

    def write_etc(self, file: str, text: str) -> None:
        """What its /etc/hosts or /etc/resolv.conf says from now on."""
        (self._directory / "etc" / file).write_text(text, encoding="utf-8")

    # ---------------------------------------------------------------- programs

    def popen(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        **options: Any,
    ) -> subprocess.Popen[Any]:
        """Start a program in a session of its own; its pid is the program's. `env` comes on top of the host's."""
        assert self._holder is not None
        enter = ["nsenter", "--target", str(self._holder.pid), "--net", "--mount", "--uts", "--"]
        there = ["sh", "-c", 'cd "$0" && exec "$@"', str(cwd or self.work)]
        options.setdefault("text", True)
        popen = subprocess.Popen(
            [*enter, *there, *map(str, command)],
            env={**self.environment, **(env or {})},
            cwd="/",
            start_new_session=True,
            **options,
        )
        self._popens.append(popen)
        return popen

    def run(
        self,
        command: Sequence[str | Path],
        *,
        input: str | None = None,
        timeout: float = 60.0,
        check: bool = False,
        **options: Any,
    ) -> subprocess.CompletedProcess[Any]:
        """Run to its end, with stdout and stderr taken."""
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        pipes: dict[str, Any] = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        popen = self.popen(command, **{**pipes, **options})
        try:
            out, err = popen.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            popen.kill()
            out, err = popen.communicate()
            raise AssertionError(f"{command} takes over {timeout} s\nstdout: {out}\nstderr: {err}") from None
        assert not check or popen.returncode == 0, f"{command}: {popen.returncode}\n{out}\n{err}"
        return subprocess.CompletedProcess(command, popen.returncode, out, err)

    def start(self, command: Sequence[str | Path], **options: Any) -> Program:
        """Start a program whose output is looked at while it runs."""
        self._programs += 1
        names = [self._directory / "said" / f"{self._programs}.{kind}" for kind in ("out", "err")]
        with open(names[0], "w") as out, open(names[1], "w") as err:
            options.setdefault("stdin", subprocess.DEVNULL)
            return Program(self.popen(command, stdout=out, stderr=err, **options), *names)

    def python(self, *arguments: str | Path, **options: Any) -> Program:
        """Start the tests' own interpreter: `python("-m", "lightwork", ...)`, `python("-c", code)`."""
        return self.start([sys.executable, *arguments], **options)

    # ---------------------------------------------------------------- network

    def ip(self, *arguments: str) -> str:
        """`ip ARGUMENTS` on this host, such as `link set eth1 down`."""
        return _tool(["ip", "-n", self.namespace, *arguments])

    def counters(self, interface: str = "eth0") -> Counters:
        """What went through an interface so far."""
        (link,) = json.loads(_tool(["ip", "-n", self.namespace, "-j", "-s", "link", "show", "dev", interface]))
        return Counters(link["stats64"]["rx"]["bytes"], link["stats64"]["tx"]["bytes"])

    def cut(self, other: Host | None = None) -> None:
        """Nothing passes any more, or nothing between this host and the other: nobody is told, packets just vanish."""
        for mine in self.interfaces.values():
            if other is None:
                self._drop(f'iifname "{mine.port}"')
                self._drop(f'oifname "{mine.port}"')
                continue
            for theirs in other.interfaces.values():
                self._drop(f'iifname "{mine.port}" oifname "{theirs.port}"')
                self._drop(f'iifname "{theirs.port}" oifname "{mine.port}"')

    def heal(self) -> None:
        """What `cut` of this host, or of others from this host, took away is there again."""
        listed = json.loads(_nft(self._hub, "-j", "-a", "list", "chain", "bridge", "lab", "forward"))
        ports = {interface.port for interface in self.interfaces.values()}
        for item in listed["nftables"]:
            rule = item.get("rule", {})
            if ports & {part.get("match", {}).get("right") for part in rule.get("expr", ())}:
                _nft(self._hub, "delete", "rule", "bridge", "lab", "forward", "handle", str(rule["handle"]))

    def _drop(self, what: str) -> None:
        _nft(self._hub, f"add rule bridge lab forward {what} drop")

    def deny(self, what: str, *, incoming: bool = True, outgoing: bool = True, by: str = "drop") -> None:
        """A rule of the host's own firewall, such as `deny("udp dport 9700")`; senders here get EPERM. `by="reject"`
        tells the other side.
        """
        for chain in ["input"] * incoming + ["output"] * outgoing:
            _nft(self.namespace, "add table inet lab")
            _nft(self.namespace, f"add chain inet lab {chain} {{ type filter hook {chain} priority 0; }}")
            _nft(self.namespace, f"add rule inet lab {chain} {what} {by}")

    def allow(self) -> None:
        """Its firewall has no rules any more."""
        _nft(self.namespace, "add table inet lab")
        _nft(self.namespace, "delete table inet lab")

    @contextmanager
    def capture(self, path: Path | str, interface: str = "eth0", what: str = "") -> Iterator[None]:
        """Write each packet of an interface to `path` (pcap); `what` is a filter of tcpdump's."""
        self._captures += 1
        said = self._directory / "said" / f"tcpdump{self._captures}.err"
        command = ["tcpdump", "-Z", "root", "-n", "-U", "--immediate-mode", "-s", "0", "-B", "65536"]
        command += ["-i", interface, "-w", str(path), *([what] if what else [])]
        with open(said, "w") as err:
            popen = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.namespace}", *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=err,
                start_new_session=True,
            )
        program = Program(popen, said, said)
        try:
            program.wait_for("listening on")
            yield
        finally:
            time.sleep(0.1)  # what the kernel has taken is read in its turn; there is nothing to ask whether it was
            popen.send_signal(signal.SIGINT)
            program.wait()

    # ---------------------------------------------------------------- beginning and end

    def open(self, visible: Sequence[Path]) -> None:
        """Make its places; a holder process keeps them, and ends it all when its stdin does."""
        for name in ("home", "work", "run", "tmp", "vartmp", "etc", "said"):
            (self._directory / name).mkdir(parents=True)
        self.runtime.chmod(0o700)
        self.home.chmod(0o700)
        for file in ("hosts", "resolv.conf"):
            self.write_etc(file, "")
        command = ["nsenter", f"--net=/run/netns/{self.namespace}", "unshare", "--mount", "--uts"]
        command += ["--propagation", "private", "sh", "-ec", self._script(visible)]
        pipe: IO[Any] | int = subprocess.PIPE
        self._holder = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True, start_new_session=True, cwd="/"
        )
        assert self._holder.stdout is not None
        said = self._holder.stdout.readline()
        if said != "ready\n":
            raise AssertionError(f"host {self.name}: {said}{self._holder.stdout.read()}")

    def _script(self, visible: Sequence[Path]) -> str:
        here = self._directory
        lines = [f"echo {self.name} > /proc/sys/kernel/hostname"]
        for path in visible:
            for place, mine in (("/tmp", here / "tmp"), ("/var/tmp", here / "vartmp")):
                if path.is_relative_to(place) and path.exists():
                    inside = mine / path.relative_to(place)
                    make = f'mkdir -p "{inside}"' if path.is_dir() else f'mkdir -p "{inside.parent}"; touch "{inside}"'
                    lines += [make, f'mount --bind "{path}" "{inside}"']
        lines += [
            f"chmod 1777 {here}/tmp {here}/vartmp",
            f"mount --rbind {here}/tmp /tmp",
            f"mount --rbind {here}/vartmp /var/tmp",
            "mount -t tmpfs -o mode=1777 shm /dev/shm",
            *(f"if test -e /etc/{f}; then mount --bind {here}/etc/{f} /etc/{f}; fi" for f in ("hosts", "resolv.conf")),
            "echo ready",
            "cat > /dev/null",  # until whoever made the lab closes it or dies
            f"for pid in $(ip netns pids {self.namespace}); do test $pid = $$ || kill -9 $pid || true; done",
        ]
        return "\n".join(lines)

    def close(self) -> None:
        """Every process in it is killed, by its number."""
        end = time.monotonic() + LIMIT_S
        while left := processes_in(self.namespace):
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:  # it ended by itself
                    pass
            for popen in self._popens:
                popen.poll()
            assert time.monotonic() < end, f"processes {left} of host {self.name} do not end"
            time.sleep(0.01)
        for popen in [*self._popens, *([self._holder] if self._holder else [])]:
            popen.wait()
            for pipe in (popen.stdin, popen.stdout, popen.stderr):
                if pipe is not None:
                    pipe.close()
        self._popens, self._holder = [], None


def processes_in(namespace: str) -> list[int]:
    """Who runs in a network namespace (zombies are in none)."""
    try:
        wanted = os.stat(f"/run/netns/{namespace}").st_ino
    except FileNotFoundError:
        return []
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}/ns/net").st_ino == wanted:
                found.append(int(pid))
        except OSError:  # it ended while we looked
            continue
    return found


def _nft(namespace: str, *arguments: str) -> str:
    return _tool(["nsenter", f"--net=/run/netns/{namespace}", "nft", *arguments])


def _tool(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout
