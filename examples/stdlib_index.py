"""A real job on real input: where is each identifier used in the Python standard library's source files?

python examples/stdlib_index.py                    every file, some 1,800: the most used names
python examples/stdlib_index.py --check            the same, then serially; the two must be equal
python examples/stdlib_index.py --find urlopen     the lines of one name
python examples/stdlib_index.py --limit 100        the first hundred files only
"""

import argparse
import collections
import keyword
import pathlib
import sysconfig
import time
import tokenize

import lightwork

LIBRARY = pathlib.Path(sysconfig.get_paths()["stdlib"])


def identifiers(path):
    """Each identifier of a file, with its lines. A file that is no valid Python (the tests have some) has none."""
    found = {}
    try:
        with tokenize.open(path) as source:
            for token in tokenize.generate_tokens(source.readline):
                if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
                    found.setdefault(token.string, []).append(token.start[0])
    except (SyntaxError, UnicodeDecodeError, tokenize.TokenError):
        return {}
    return found


def sources(limit):
    foreign = {"site-packages", "dist-packages"}
    return sorted(path for path in LIBRARY.rglob("*.py") if foreign.isdisjoint(path.parts))[:limit]


def merged(paths, founds):
    """The index: identifier -> [(file, lines), ...]."""
    index = collections.defaultdict(list)
    for path, found in zip(paths, founds, strict=True):
        for name, lines in found.items():
            index[name].append((path.relative_to(LIBRARY).as_posix(), lines))
    return index


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--limit", type=int, help="so many files only")
    options.add_argument("--find", metavar="NAME", help="print the lines of this name")
    options.add_argument("--check", action="store_true", help="compare with the serial result")
    options = options.parse_args()

    paths = sources(options.limit)
    started = time.perf_counter()
    with lightwork.JobCluster(identifiers) as cluster:
        index = merged(paths, cluster.map(paths, progress=True))
    print(f"{len(index)} identifiers in {len(paths)} files, {time.perf_counter() - started:.1f} s")

    if options.find:
        for file, lines in index.get(options.find, []):
            print(f"{file}: {', '.join(map(str, lines))}")
    else:
        uses = collections.Counter({name: sum(len(lines) for _, lines in where) for name, where in index.items()})
        for name, number in uses.most_common(10):
            print(f"{number:8} {name}")
    if options.check:
        started = time.perf_counter()
        assert index == merged(paths, map(identifiers, paths)), "the cluster's index is not the serial one"
        print(f"equal to the serial index, {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
