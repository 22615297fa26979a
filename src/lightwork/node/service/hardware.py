"""What this machine is, and what it has left. psutil is imported when first needed: it costs 20 ms."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
from pathlib import Path

from lightwork.wire.messages import Hardware, Load

GPU_QUERY = ("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
GPU_WAIT_S = 10.0


def hardware() -> Hardware:
    """The machine, as far as it can be told without waiting."""
    return Hardware(
        system=f"{platform.system()} {platform.release()}",
        architecture=platform.machine(),
        python=platform.python_version(),
        cores=os.cpu_count() or 1,
        memory_bytes=_memory_bytes(),
        gpus=_nvidia_gpus(),
    )


def _nvidia_gpus() -> tuple[str, ...]:
    """What the driver says (Linux); asking its tool may take seconds."""
    found = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        rows = dict(line.partition(":")[::2] for line in path.read_text(errors="replace").splitlines())
        found.append(rows.get("Model", "GPU").strip())
    return tuple(found)


def _memory_bytes() -> int:
    if sys.platform != "win32":
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    import psutil

    return int(psutil.virtual_memory().total)


async def ask_gpus() -> tuple[str, ...]:
    """Names of the GPUs, by their tool; none if there is no such tool."""
    if shutil.which(GPU_QUERY[0]) is None:
        return ()
    null = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *GPU_QUERY, stdin=null, stdout=asyncio.subprocess.PIPE, stderr=null
        )
    except OSError:
        return ()
    try:
        output, _ = await asyncio.wait_for(process.communicate(), GPU_WAIT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return ()
    return tuple(line.strip() for line in output.decode(errors="replace").splitlines() if line.strip())


class LoadMeter:
    """Measures the load; the processor's share is that since the last call."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self) -> Load:
        """What is left now."""
        import psutil

        swap = psutil.swap_memory()
        return Load(
            cpu_free_percent=100.0 - psutil.cpu_percent(),
            memory_free_bytes=int(psutil.virtual_memory().available),
            disk_free_bytes=shutil.disk_usage(self._directory).free,
            swap_free_percent=100.0 - swap.percent if swap.total else 100.0,
            load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
        )
