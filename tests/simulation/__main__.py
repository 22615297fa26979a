"""Run schedules: `python -m tests.simulation --seed N [--verbose]`, or `--range A B --processes 2`; see --help."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.mutants import MUTANTS
from tests.simulation.runner import Total, run, run_range, shrink, stored, transcript

OF_EACH = 3  # seeds for a planted bug


def _one(seed: int, mutant: str, verbose: bool, all_of_it: bool, shrinking: bool) -> int:
    skipped = shrink(seed, mutant) if shrinking else frozenset()
    result, lines = transcript(seed, mutant, skipped, all_of_it=all_of_it)
    if verbose or result.promise:
        print("\n".join(lines))
    if skipped:
        print(f"without the faults {sorted(skipped)}")
    print(f"seed {seed}: {result.text or 'all promises kept'} ({result.steps:,} steps)")
    return 1 if result.promise else 0


def _many(seeds: range, processes: int, mutant: str, first: bool) -> int:
    total = Total()
    for result in run_range(seeds, processes, mutant, covering=True):
        total.add(result)
        if result.promise:
            print(f"seed {result.seed}: {result.text[:400]}", flush=True)
            if first:
                break
    print(total.summary())
    print(", ".join(f"{kind} {count:,}" for kind, count in sorted(total.faults.items())))
    print(f"{len(total.pairs)} pairs of state and event")
    return 1 if total.violations else 0


def _find(seeds: range, processes: int, mutant: str) -> int:
    """The first seeds that find each planted bug, or one of them: lines for seeds.txt."""
    missing = 0
    for name in [mutant] if mutant else MUTANTS:
        found, others = 0, set[str]()
        for result in run_range(seeds, processes, name):
            if result.promise in MUTANTS[name].promises and not run(result.seed).promise:
                print(f"{result.seed} {name}  # {result.text[:80]}", flush=True)
                found += 1
                if found == OF_EACH:
                    break
            elif result.promise:
                others.add(result.promise)
        else:
            missing += 1
            print(f"# {name}: {found} in {len(seeds):,} schedules, other violations: {sorted(others)}", flush=True)
    return 1 if missing else 0


def _stored(only: str) -> int:
    bad = 0
    for seed, mutant in stored():
        if only and mutant != only:
            continue
        result, _ = transcript(seed, mutant)
        wanted = MUTANTS[mutant].promises if mutant else {""}
        good = result.promise in wanted
        bad += not good
        print(f"{'ok ' if good else 'BAD'} seed {seed} {mutant}: {result.text[:200]}")
    return 1 if bad else 0


def main(arguments: list[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="one schedule; its transcript is shown if it fails")
    parser.add_argument("--verbose", action="store_true", help="show it anyway")
    parser.add_argument("--all", action="store_true", help="with what only says that time passes")
    parser.add_argument("--shrink", action="store_true", help="leave out faults that do not matter")
    parser.add_argument("--range", type=int, nargs=2, metavar=("A", "B"), help="schedules A to B-1")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--mutant", default="", choices=["", *MUTANTS], metavar="NAME", help="with this planted bug")
    parser.add_argument("--first", action="store_true", help="stop at the first violation")
    parser.add_argument("--find", action="store_true", help="within the range, the seeds that find planted bugs")
    parser.add_argument("--stored", action="store_true", help="the seeds that are stored")
    given = parser.parse_args(arguments)
    if given.seed is not None:
        return _one(given.seed, given.mutant, given.verbose, given.all, given.shrink)
    if given.range and given.find:
        return _find(range(*given.range), given.processes, given.mutant)
    if given.range:
        return _many(range(*given.range), given.processes, given.mutant, given.first)
    if given.stored:
        return _stored(given.mutant)
    parser.print_help()
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
