"""What a configuration file may say: [scheduler], [node] and [relay], each key an option of that command without its
dashes, and [[host]] (hosts_file.py). Here is what each value must be; what it means, the command says.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

_PATH = {"path": True}  # relative to the directory of the configuration file

Text = Annotated[str, Meta(min_length=1, max_length=4096)]
Size = Annotated[str, Meta(pattern=r"^\s*[0-9.]+\s*([KMGTP]i?)?B?\s*$")]
Clock = Annotated[str, Meta(pattern=r"^(\d{1,2}:\d{2}(:\d{2})?|\+.+)$")]
Named = Annotated[str, Meta(pattern=r"^[^=]+=.*$")]


def _path(description: str) -> Meta:
    return Meta(min_length=1, max_length=4096, description=description, extra=_PATH)


def _says(description: str) -> Meta:
    return Meta(description=description)


class _Credential(Struct, rename="kebab", omit_defaults=True):
    secret_file: Annotated[str, _path("where the secret is")] | None = None
    certfile: Annotated[str, _path("your own certificate instead of a secret")] | None = None
    keyfile: Annotated[str, _path("its private key, unless certfile holds both")] | None = None
    cafile: Annotated[str, _path("whose certificates are accepted")] | None = None
    weak_secret: Annotated[bool, _says("use a secret that could be guessed, all the same")] | None = None


class SchedulerTable(_Credential):
    """[scheduler]."""

    listen: Annotated[Text, _says("where to listen; *:9700")] | None = None
    state: Annotated[str, _path("where its jobs are kept")] | None = None
    name: Annotated[Text, _says("what it is called; the host's name")] | None = None
    nodes: Annotated[list[Text], _says("nodes that listen, and that it dials")] | None = None
    hosts: Annotated[str, _path("a file of such nodes, which may change")] | None = None
    node_secret_file: Annotated[str, _path("the secret of nodes and relays")] | None = None
    node_certfile: Annotated[str, _path("the certificate that nodes see")] | None = None
    node_keyfile: Annotated[str, _path("its private key")] | None = None
    node_cafile: Annotated[str, _path("who signs for nodes")] | None = None
    cluster_secret_file: Annotated[str, _path("the secret of clients")] | None = None
    cluster_certfile: Annotated[str, _path("the certificate that clients see")] | None = None
    cluster_keyfile: Annotated[str, _path("its private key")] | None = None
    cluster_cafile: Annotated[str, _path("who signs for clients")] | None = None
    order: Annotated[Literal["fair", "submitted", "oldest"], _says("whose job is next; fair")] | None = None
    resource: Annotated[list[Named] | dict[str, int | str], _says("what all nodes share, such as licences")] | None = (
        None
    )
    cooperative: Annotated[bool, _says("programs may set the slots of nodes")] | None = None


class NodeTable(_Credential):
    """[node]."""

    listen: Annotated[Text, _says("where to listen; *:9701")] | None = None
    join: Annotated[Text, _says("the scheduler to dial")] | None = None
    slots: Annotated[int, Meta(ge=-65536, le=65536, description="so many jobs at once; the cores")] | None = None
    name: Annotated[Text, _says("what it is called; the host's name")] | None = None
    label: Annotated[list[Named] | dict[str, str], _says("shown to clients")] | None = None
    python: Annotated[list[Text], _says("further interpreters for jobs")] | None = None
    nice: Annotated[int, Meta(ge=0, le=19, description="of the jobs; 19")] | None = None
    group: Annotated[list[Text], _says("groups that it is in")] | None = None
    weight: Annotated[int, Meta(ge=-1_000_000, le=1_000_000, description="heavier ones first; 0")] | None = None
    resource: Annotated[list[Named] | dict[str, int | str], _says("what it has for jobs to reserve")] | None = None
    service_start: Annotated[Clock, _says("jobs are taken from then on")] | None = None
    service_stop: Annotated[Clock, _says("and until then")] | None = None
    service_end: Annotated[Clock, _says("and run until then")] | None = None
    serve: Annotated[int, Meta(ge=0, le=1_000_000, description="clients to serve; any number")] | None = None
    init: Annotated[str, _path("a module of the node's own")] | None = None
    job_user: Annotated[Text, _says("the user of the jobs, if the node runs as root")] | None = None
    max_file_size: Annotated[Size, _says("of one file that a job brings")] | None = None
    cache_quota: Annotated[Size, _says("of all files that are kept")] | None = None
    directory: Annotated[str, _path("where it keeps all files; /var/tmp")] | None = None
    client_shutdown: Annotated[bool, _says("jobs may stop the node")] | None = None
    single: Annotated[bool, _says("not beside a node of the same name")] | None = None


class RelayTable(_Credential):
    """[relay]."""

    scheduler: Annotated[Text, _says("the scheduler to dial")] | None = None
    listen: Annotated[Text, _says("where nodes join it; *:9702")] | None = None
    nodes: Annotated[list[Text], _says("nodes that listen, and that it dials")] | None = None
    name: Annotated[Text, _says("what it is called; the host's name")] | None = None
    no_discovery: Annotated[bool, _says("the network is not asked for nodes")] | None = None
    store: Annotated[str, _path("where it keeps files for its nodes")] | None = None
    store_quota: Annotated[Size, _says("of these files; 16G")] | None = None


TABLES: dict[str, type[Struct]] = {"scheduler": SchedulerTable, "node": NodeTable, "relay": RelayTable}
