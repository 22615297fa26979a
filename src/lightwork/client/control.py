"""Nodes, as users of a cluster command them: find, use, leave, prepare again; and jobs and files for one of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lightwork.client import networking, waiting
from lightwork.client.allocation import LOCAL, arguments_of, files_of, place_of, specs_of
from lightwork.kit.text import listed
from lightwork.model.errors import LightworkError, UserError
from lightwork.wire.messages import (
    Answer,
    AskNodeJobs,
    ControlNode,
    File,
    NodeStatus,
    Seek,
    SendFile,
    Tailor,
    Wanted,
)

if TYPE_CHECKING:
    from lightwork.client.asking import Reply
    from lightwork.client.defining import Definitions
    from lightwork.client.job import Job
    from lightwork.client.offering import Offers
    from lightwork.client.plan import Plan
    from lightwork.client.session import Session
    from lightwork.client.submitting import Submitter
    from lightwork.client.tailoring import Fittings

Node = str | NodeStatus


def _complain(answer: Reply) -> None:
    """What is wrong with the wishes that a cluster was made with."""
    if isinstance(answer, Answer) and answer.error:
        waiting.say(f"error: {answer.error}" + (f"\nhint: {answer.hint}" if answer.hint else ""))


class NodeControl:
    """A part of JobCluster. A node is named by its name, its address, or one of `cluster.nodes`.

    Each call returns when it is done, and says what it waits for if that takes longer than a moment. It raises
    UserError for a node that is not there, ClusterError if it cannot be done now. Callbacks may use all of them.
    """

    _session: Session
    _definitions: Definitions
    _network: networking.Network
    _offers: Offers | None

    if TYPE_CHECKING:

        @property
        def _plan(self) -> Plan: ...

        def options(self, *, id: Any = None, node: Node | None = None) -> Submitter:
            """See JobCluster."""

    # --- which nodes there are ---

    @property
    def nodes(self) -> list[NodeStatus]:
        """The nodes that are there now."""
        return self._session.nodes.present()

    def discover_nodes(self, nodes: Any = "*") -> list[str]:
        """Look now for nodes that match (as in `nodes=`); names of all that are connected. Wishes stay as they are."""
        return self._seek(nodes, now=True)

    def allocate_node(self, node: Any) -> list[str]:
        """Use a node again after `deallocate_node`; or look for further ones, as in `nodes=`: names of those there."""
        if isinstance(node, Node) and (isinstance(node, NodeStatus) or self._session.nodes.named(node)):
            name = self._node(node)
            self._control(name, "allocate", f"node {name} to be used again")
            return [name]
        return self._seek(node, now=False)

    def _seek(self, nodes: Any, *, now: bool) -> list[str]:
        network = self._network
        specs = specs_of(nodes)
        if any(spec.host == LOCAL for spec in specs):
            raise UserError("Whether this machine is used is said when a cluster is made.", hint="nodes=['local', ...]")
        for spec in specs if not network.shared else ():
            networking.check_reach(network.credential, *place_of(spec), weak_secret=network.weak_secret)
        if now:
            wanted = [Wanted(*place_of(spec), spec.cpus) for spec in specs]
        else:
            offers = self._offering()
            offers.attach(self._session)
            wanted = [offers.wanted(spec) for spec in specs]
        hosts = listed([spec.host for spec in specs])
        return self._session.questions.ask(lambda number: Seek(number, wanted, now), f"an answer from {hosts}").nodes

    def _wishes(self) -> list[Wanted]:
        """What the cluster was made with; the session may not be there yet."""
        return [self._offering().wanted(spec) for spec in self._network.specs]

    def _begin_to_seek(self, wanted: list[Wanted]) -> None:
        self._offering().attach(self._session)
        only = self._network.shared
        self._session.questions.post(lambda number: Seek(number, wanted, only=only), _complain)

    def _offering(self) -> Offers:
        if self._offers is None:
            from lightwork.client.offering import Offers

            self._offers = Offers(self, self._definitions.fittings)
        return self._offers

    # --- what is done with one ---

    def deallocate_node(self, node: Node) -> None:
        """No new jobs there. Those that run go on, and the node stays ours."""
        name = self._node(node)
        self._control(name, "deallocate", f"node {name} to take no more jobs")

    def close_node(self, node: Node, terminate_pending: bool = False) -> None:
        """Give the node back when its jobs have ended; `terminate_pending`: those are cancelled."""
        name = self._node(node)
        self._control(name, "close", f"node {name} to be given back", cancel=terminate_pending)

    def resetup_node(
        self,
        node: Node,
        terminate_pending: bool = False,
        depends: Any = None,
        setup_args: tuple[Any, ...] | None = None,
    ) -> None:
        """Run `cleanup` and `setup` there again when its jobs have ended; `terminate_pending`: those are cancelled.

        `depends`: files and directories that it has of its own from now on, read anew; `setup_args`: in place of the
        cluster's. None: as it had them before.
        """
        name = self._node(node)
        if depends is not None or setup_args is not None:
            self._tailor(name, depends, setup_args)
        self._control(name, "resetup", f"node {name} to be set up again", cancel=terminate_pending)

    def _tailor(self, name: str, depends: Any, setup_args: tuple[Any, ...] | None) -> None:
        from lightwork.client.tailoring import Own

        session, fittings = self._session, self._definitions.fittings
        before = fittings.given.get(name, Own())
        own = Own(
            before.depends if depends is None else files_of(depends, name),
            before.setup_args if setup_args is None else arguments_of(setup_args, name),
        )
        made = fittings.make(own, repr(name), afresh=True)
        fittings.given[name] = own
        session.blobs.keep(made.blobs)
        session.check()
        session.connection.send(Tailor(name, made.wire))

    def _tailor_again(self) -> None:
        """There is another link, and the scheduler may have been restarted: it forgets what nodes have of theirs."""
        self._tailor_all(self._definitions.fittings)

    def _tailor_all(self, fittings: Fittings) -> None:
        for name, own in list(fittings.given.items()):
            try:
                made = fittings.make(own, repr(name))
            except LightworkError as error:  # files that are no more
                waiting.say(f"error: node {name} cannot be told what it has of its own: {error}")
                continue
            self._session.blobs.keep(made.blobs)
            self._session.connection.send(Tailor(name, made.wire))

    def set_node_cpus(self, node: Node, cpus: int) -> int:
        """Use so many of its slots from now on, negative: leave so many free; how many that is."""
        if isinstance(cpus, bool) or not isinstance(cpus, int):
            raise UserError(f"cpus={cpus!r} must be a whole number.")
        name = self._node(node)
        answer = self._control(name, "slots", f"node {name} to use {cpus} slots", value=cpus)
        if answer.jobs:
            return answer.jobs[0]
        self._session.waits.ask_status()
        status = self._session.nodes.get(name)
        return status.slots if status is not None else 0

    def _control(self, name: str, action: str, subject: str, *, value: int = 0, cancel: bool = False) -> Answer:
        return self._session.questions.ask(lambda number: ControlNode(number, name, action, value, cancel), subject)

    def _node(self, node: Node) -> str:
        """The name of the one that is meant."""
        session = self._session
        session.check()
        found = session.nodes.named(node)
        if not found:
            session.waits.ask_status()
            found = session.nodes.named(node)
        if len(found) == 1:
            return found[0]
        what = node.name if isinstance(node, NodeStatus) else node
        if found:
            names = listed(sorted(found))
            raise UserError(f"{len(found)} nodes have the address {what!r}: {names}.", hint="take one's name")
        known = sorted(status.name for status in session.nodes.present())
        raise UserError(f"There is no node {what!r}.", hint=f"the nodes now: {listed(known, 20)}")

    # --- jobs and files for one ---

    def submit_node(self, node: Node, /, *args: Any, **kwargs: Any) -> Job:
        """As `submit`; the job runs on this node and nowhere else."""
        return self.options(node=node).submit(*args, **kwargs)

    def submit_job_id_node(self, job_id: Any, node: Node, /, *args: Any, **kwargs: Any) -> Job:
        """As `submit_node`; the job's `id` is `job_id`."""
        return self.options(id=job_id, node=node).submit(*args, **kwargs)

    def node_jobs(self, node: Node, from_node: bool = False) -> list[Job]:
        """The cluster's jobs that are on this node, as the scheduler knows; `from_node`: the node itself is asked."""
        name, session = self._node(node), self._session
        answer = session.questions.ask(
            lambda number: AskNodeJobs(number, name, from_node), f"the list of jobs on node {name}"
        )
        with session.lock:
            found = [session.core.open.get(number) for number in answer.jobs]
        return [job for job in found if job is not None]

    def send_file(self, path: str | os.PathLike[str], node: Node) -> None:
        """Put a file, or a directory with all that is in it, into the directory of the cluster's computation there."""
        from lightwork.payload.files import FileSet

        name, session, computation = self._node(node), self._session, self._plan.computation
        found = FileSet()
        found.add_path(os.fsdecode(path))
        held = session.blobs.hold(found.blobs)
        with session.lock:
            session.core.define(computation)
        for file in found.files.values():
            self._send_one(name, computation.digest, file)
        del held  # only now they may go

    def _send_one(self, name: str, computation: str, file: File) -> None:
        self._session.questions.ask(
            lambda number: SendFile(number, name, computation, file), f"{file.path} to arrive on node {name}"
        )
