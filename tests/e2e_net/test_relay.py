"""Nodes of another network: they join a relay, or are found by it; users see them as nodes like any other."""

from __future__ import annotations

import json
import signal

from lightwork.security.secret import generate
from tests.e2e.helpers import wait_until
from tests.e2e_net.certificates import Authority
from tests.support.two_networks import TwoNetworks

FEW = """
if __name__ == "__main__":
    with shared() as cluster:
        jobs = [submit(cluster, f"j{n}", 0.05) for n in range(40)]
        cluster.wait()
        say(ended=[told(job) for job in jobs])
"""
DATA = """
def back(argument):
    import os
    with open("made.bin", "wb") as file:
        file.write(os.urandom(3_000_000))
    lightwork.send_provisional(len(argument))
    print("written by", len(argument))
    return argument[::-1]

if __name__ == "__main__":
    given = os.urandom(20_000_000)
    with lightwork.SharedJobCluster(back, scheduler="s", outputs=["made.bin"], outputs_dir="out") as cluster:
        jobs = [cluster.submit(given) for _ in range(4)]
        right = [job() == given[::-1] for job in jobs]
        cluster.wait()
        sizes = [os.path.getsize(os.path.join(root, name)) for root, _, names in os.walk("out") for name in names]
        say(right=right, sizes=sizes, said=jobs[0].stdout)
"""


def names(farm: TwoNetworks) -> dict[str, str]:
    """Nodes that the scheduler has, and their relays."""
    told = farm["s"].run(["lightwork", "status", "--json"], env=farm.environment(None, None), check=True).stdout
    return {node["name"]: node["relay"] for one in json.loads(told)["schedulers"] for node in one["nodes"]}


def test_nodes_that_listen_are_found_and_those_that_join_are_shown_with_their_relay() -> None:
    with TwoNetworks("b0", "b1", "b2") as farm:
        scheduler = farm.scheduler()
        found = farm.node("b0", "--name", "b0")
        farm.relay()
        farm.joins("b1")
        farm.node("b2", "--name", "b2", secret=generate())  # is of another cluster
        wait_until(lambda: names(farm) == {"b0": "r", "b1": "r"}, "both are there", 20)
        assert "via relay r" in found.err, "its owner reads for whom it works, and through whom"
        shown = farm["s"].run(["lightwork", "status"], env={**farm.environment(None, None), "COLUMNS": "250"}).stdout
        assert f"{farm['b0'].address} via relay r" in shown
        assert f"node b1 is there ({farm['b1'].address}, via relay r)" in scheduler.err
        user = farm.user(FEW)
        user.wait()
        assert {host for _, state, host, *_ in user.get("ended") if state == "FINISHED"} == {"b0", "b1"}
        assert len(user.get("ended")) == 40


def test_a_relay_on_the_gateway_dials_the_nodes_that_it_is_told_and_leaves_others_alone() -> None:
    """It is on both networks: nodes beside the scheduler are the scheduler's."""
    with TwoNetworks("b0", "b1") as farm:
        farm.scheduler()
        left = [farm.node(host, "--name", host) for host in ("u", "b0", "b1")]
        relay = farm.relay("--nodes", f"{farm['b0'].address},b1", host="g")
        wait_until(lambda: names(farm) == {"b0": "g", "b1": "g"}, "those named are there", 20)
        relay.signal(signal.SIGTERM)
        assert relay.wait() == 0
        relay = farm.relay(host="g")
        wait_until(lambda: relay.err.count("is there") == 2, "those found are there", 20)
        assert names(farm) == {"b0": "g", "b1": "g"}
        assert "claimed" not in left[0].err
        user = farm.user(FEW)
        user.wait()
        assert len(user.get("ended")) == 40


def test_large_arguments_results_files_and_output_pass_through() -> None:
    with TwoNetworks("b0", "b1") as farm:
        farm.scheduler()
        farm.relay()
        for name in ("b0", "b1"):
            farm.joins(name)
        user = farm.client("u", DATA)
        user.wait(90)
        assert user.get("right") == [True] * 4
        assert user.get("sizes") == [3_000_000] * 4
        assert user.get("said") == "written by 20000000\n"


def test_a_wrong_credential_is_refused_and_all_read_why() -> None:
    with TwoNetworks("b0") as farm:
        scheduler = farm.scheduler()
        other = generate()
        stranger = farm.relay("--listen", "9800", ready="waits for the scheduler", secret=other)
        assert "holds another secret than this one" in stranger.err
        wait_until(lambda: "another secret" in scheduler.err, "the scheduler's owner reads it", 10)
        stranger.signal(signal.SIGTERM)
        assert stranger.wait() == 0
        relay = farm.relay()
        node = farm.node("b0", "--join", f"{farm['r'].address}:9702", secret=other, ready="cannot join")
        assert "holds another secret than this one" in node.err
        wait_until(lambda: "was turned away" in relay.err, "the relay's owner reads it", 10)
        client = farm["b0"].run(
            ["lightwork", "status", "--scheduler", f"{farm['r'].address}:9702"], env=farm.environment(None, None)
        )
        assert client.returncode != 0
        assert "this is relay r: nodes join it, and no watcher" in client.stderr
        assert farm["s"].address in client.stderr, "and where to go instead"


def test_a_relay_needs_the_credential_of_nodes() -> None:
    with TwoNetworks("b0") as farm:
        clients = generate()
        (farm["s"].work / "nodes").write_text(farm.secret)
        (farm["s"].work / "clients").write_text(clients)
        for name in ("nodes", "clients"):
            (farm["s"].work / name).chmod(0o600)
        scheduler = farm.scheduler("--node-secret-file", "nodes", "--cluster-secret-file", "clients")
        wrong = farm.relay(ready="waits for the scheduler", secret=clients)
        assert "a relay needs the node credential of this scheduler" in wrong.err
        wait_until(lambda: "a relay needs the node credential" in scheduler.err, "the scheduler's owner reads it", 10)
        wrong.signal(signal.SIGTERM)
        assert wrong.wait() == 0
        farm.relay()
        farm.joins("b0")
        farm.secret = clients
        user = farm.user(FEW)
        user.wait()
        assert {host for _, state, host, *_ in user.get("ended") if state == "FINISHED"} == {"b0"}


def test_certificates_of_two_authorities_tell_nodes_and_programs_apart() -> None:
    """No secret anywhere. A relay, like a node, shows what the authority of nodes has signed."""
    where = """
    def where():
        import socket
        return socket.gethostname()

    if __name__ == "__main__":
        own = {"certfile": "program.pem", "keyfile": "program.key"}
        with lightwork.SharedJobCluster(where, scheduler="s", **own) as cluster:
            say(host=cluster.submit()(), nodes=[[node.name, node.relay] for node in cluster.status().nodes])
    """
    node, program = (["--certfile", f"{kind}.pem", "--keyfile", f"{kind}.key"] for kind in ("node", "program"))
    with TwoNetworks("b0", "b1") as farm:
        authorities = {"node": Authority("nodes"), "program": Authority("programs")}
        for host in ("s", "r", "b0", "b1", "u"):
            for kind, authority in authorities.items():
                authority.pair(host).write(farm[host].work, name=kind)
        farm.secret = ""
        kinds = [*(f"--node-{word[2:]}" if word[:2] == "--" else word for word in node)]
        kinds += [*(f"--cluster-{word[2:]}" if word[:2] == "--" else word for word in program)]
        scheduler = farm.scheduler(*kinds)
        wrong = farm.relay(*program, ready="waits for the scheduler")
        assert "a relay needs the node credential of this scheduler" in wrong.err
        assert "(ours is from program.pem)" in wrong.err
        wait_until(
            lambda: "was turned away: a relay needs the node credential" in scheduler.err, "its owner reads it", 10
        )
        wrong.signal(signal.SIGTERM)
        assert wrong.wait() == 0
        relay = farm.relay(*node, "--cafile", "node.pem")
        farm.joins("b0", *node)
        stranger = farm.joins("b1", *program, ready="cannot join")
        assert "has a certificate of another cluster than ours (from program.pem)" in stranger.err
        wait_until(lambda: "was turned away: " in relay.err and "of another cluster" in relay.err, relay.err, 10)
        user = farm.client("u", where)
        assert user.wait_for("host") == "b0"
        assert user.get("nodes") == [["b0", "r"]]
        user.wait()


def test_a_private_scheduler_takes_a_relay_too() -> None:
    """JobCluster(listen=...): its nodes have the longer lease as well."""
    private = """
    def where():
        import socket
        return socket.gethostname()

    if __name__ == "__main__":
        with lightwork.JobCluster(where, listen="*:9700", nodes=["b0"]) as cluster:
            say(up=True)
            job = cluster.submit()
            say(host=job())
            say(nodes=[[node.name, node.relay] for node in cluster.status().nodes])
    """
    with TwoNetworks("b0") as farm:
        relay = farm.relay(ready="waits for the scheduler")
        node = farm.node("b0", "--join", f"{farm['r'].address}:9702", ready="cannot join")
        assert "relay r has no connection with the scheduler" in node.err
        user = farm.client("s", private)
        assert user.wait_for("host") == "b0"
        assert user.wait_for("nodes") == [["b0", "r"]]
        user.wait()
        wait_until(lambda: "the scheduler has left: the cluster is closed" in node.err, "it hears the goodbye", 10)
        assert relay.popen.poll() is None
