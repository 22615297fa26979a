"""Data that stays in memory: loaded by `setup` once on each node, then used by every job there.

    python examples/in_memory.py [WORD ...]            which standard library files speak of these words?

The sources are read once (on Linux and macOS into one process, whose memory all jobs share), not once a job.
"""

import sys

import lightwork

WORDS = ["socket", "deprecated", "recursion", "unicode", "cancel", "whether", "posix", "parrot"]


def load():
    """The standard library's sources, and who read them; what setup returns, jobs get by `lightwork.node_value()`."""
    import os
    import pathlib
    import sysconfig

    library = pathlib.Path(sysconfig.get_paths()["stdlib"])
    texts = {path.name: path.read_text("utf-8") for path in sorted(library.glob("*.py"))}
    return os.getpid(), texts


def files_with(word):
    import os
    import re

    loader, texts = lightwork.node_value()
    pattern = re.compile(rf"\b{re.escape(word)}\b")
    return loader, os.getpid(), [name for name, text in texts.items() if pattern.search(text)]


def main(words):
    with lightwork.JobCluster(files_with, setup=load) as cluster:
        jobs = [(word, cluster.submit(word)) for word in words]
        results = [(word, job.get()) for word, job in jobs]
    for word, (_, _, names) in results:
        print(f"{word}: {len(names)} files {' '.join(names[:4])}{' ...' if names[4:] else ''}")
    loaders = {loader for _, (loader, _, _) in results}
    workers = {worker for _, (_, worker, _) in results}
    print(f"{len(results)} jobs in {len(workers)} workers; the sources were read {len(loaders)} time(s)")


if __name__ == "__main__":
    main(sys.argv[1:] or WORDS)
