"""`python -m benchmarks [NAME ...]`: runs the named tables, or all of them."""

from __future__ import annotations

import importlib
import sys

TABLES = {
    "throughput": "no-op jobs per second against multiprocessing.Pool, in four ways",
    "latency": "one job at a time, and from process start to first result",
    "memory": "bytes per queued job, in client and scheduler",
    "journal": "durable records against plain commits, their latency, and a restart with 100,000 jobs",
    "payloads": "large arguments and results against ProcessPoolExecutor",
    "twins": "heavy-tailed jobs on four nodes of which one is ten times slower, with twins and without",
    "placement": "a decision of the scheduler by nodes and waiting jobs, and bytes per waiting job",
    "recovery": "until work goes on: a worker's death, a partition, a restart with 100,000 jobs",
    "transport": "links alone against a bare socket",
    "transport_tls": "encrypted links against the loops' own TLS",
}


def main() -> None:
    """Run what was asked for."""
    names = sys.argv[1:] or list(TABLES)
    unknown = [name for name in names if name not in TABLES]
    if unknown:
        tables = "\n".join(f"  {name:12} {what}" for name, what in TABLES.items())
        sys.exit(f"error: no table {', '.join(unknown)}\nhint: there are\n{tables}")
    for name in names:
        print(f"\n# {name}: {TABLES[name]}\n", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
