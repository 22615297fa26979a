"""A program instead of a function: `outline.py` over the standard library's files; what it writes comes back.

    python examples/program_over_files.py [HOW_MANY_FILES [DIRECTORY]]      (default: 200 files, into outlines/)

Each job runs in a directory of its own; the files there that match `outputs=` arrive in DIRECTORY/JOB/.
"""

import pathlib
import sys
import sysconfig

import lightwork

HERE = pathlib.Path(__file__).parent


def main(limit=200, directory="outlines"):
    library = pathlib.Path(sysconfig.get_paths()["stdlib"])
    paths = sorted(library.glob("*.py")) + sorted(library.glob("[a-z]*/*.py"))
    paths = [path for path in paths if path.parts[-2] not in ("site-packages", "dist-packages")][: int(limit)]

    with lightwork.JobCluster(str(HERE / "outline.py"), outputs=["*.outline"], outputs_dir=directory) as cluster:
        jobs = [cluster.submit(str(path)) for path in paths]
        cluster.wait(progress=True)

    for job in jobs[:5]:
        print(job.stdout.strip())
    written = sorted(pathlib.Path(directory).glob("*/*.outline"))
    definitions = sum(len(path.read_text("utf-8").splitlines()) for path in written)
    failed = [job for job in jobs if job.result != 0]
    print(f"{len(jobs)} files, {len(failed)} failed, {len(written)} outlines in {directory}, {definitions} definitions")


if __name__ == "__main__":
    main(*sys.argv[1:])
