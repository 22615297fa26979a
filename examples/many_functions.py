"""Many functions on one cluster: each job names its own; here four questions about each of some files.

python examples/many_functions.py [FILE ...]       (default: some files of the standard library)
"""

import os
import pathlib
import sys
import sysconfig

import lightwork


def lines(path):
    """How many lines it has."""
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def compressed(path):
    """To how many percent it can be compressed."""
    import lzma

    data = pathlib.Path(path).read_bytes()
    return round(100 * len(lzma.compress(data)) / max(1, len(data)))


def digest(path):
    """The first half of its SHA-256."""
    import hashlib

    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()[:32]


class Longest:
    """A class is a computation too: the job makes an instance of it from its arguments."""

    def __init__(self, path):
        self.line = max(open(path, encoding="utf-8"), key=len, default="").strip()

    def __str__(self):
        return self.line[:60]


def main(paths):
    questions = [lines, compressed, digest, Longest]
    with lightwork.JobCluster(lines) as cluster:
        ask = {question: cluster.options(computation=question) for question in questions}
        jobs = [(path, [ask[question].submit(path) for question in questions]) for path in paths]
        for path, answers in jobs:
            count, percent, sha256, longest = (job.get() for job in answers)
            print(f"{pathlib.Path(path).name}: {count} lines, xz {percent} %, {sha256}\n    {longest}")


if __name__ == "__main__":
    library = pathlib.Path(sysconfig.get_paths()["stdlib"])
    given = sys.argv[1:] or [library / name for name in ("abc.py", "ast.py", "heapq.py", "this.py", "typing.py")]
    main([os.path.abspath(path) for path in given])  # jobs run in a directory of their own
