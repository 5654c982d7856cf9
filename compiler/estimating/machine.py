"""How much memory there is for a process, and how much it holds already."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import torch

CGROUP = Path("/sys/fs/cgroup")
NO_LIMIT = 1 << 60
"""Where version 1 of control groups has no limit, it gives the largest number of pages."""


def available(device: torch.device) -> int | None:
    """The bytes that a search in this process could have, with what the process holds already.

    None where the system does not tell.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device)
    known = [*_of_machine(), *_of_groups()]
    return min(known) + (status("VmRSS") or 0) if known else None


def status(field: str) -> int | None:
    """A line of `/proc/self/status`, in bytes: `VmRSS`, `RssFile` and so on."""
    return _kilobytes(Path("/proc/self/status"), field)


def _of_machine() -> Iterator[int]:
    found = _kilobytes(Path("/proc/meminfo"), "MemAvailable")
    if found is not None:
        yield found


def _of_groups() -> Iterator[int]:
    """What the limits of the process's control groups leave, in either version of them."""
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, limit, used = CGROUP, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            root, limit, used = CGROUP / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        own = root / path.lstrip("/")
        for group in (own, *own.parents):
            left = _left(group, limit, used)
            if left is not None:
                yield left
            if group == root:
                break


def _left(group: Path, limit: str, used: str) -> int | None:
    most, taken = _text(group / limit).strip(), _text(group / used).strip()
    if not most.isdigit() or not taken.isdigit() or int(most) > NO_LIMIT:
        return None
    cached = re.search(r"^(?:total_)?inactive_file (\d+)$", _text(group / "memory.stat"), re.M)
    return int(most) - int(taken) + (int(cached[1]) if cached else 0)


def _kilobytes(path: Path, field: str) -> int | None:
    found = re.search(rf"^{field}:\s+(\d+) kB$", _text(path), re.M)
    return int(found[1]) * 1024 if found else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # not this system, or not this version
        return ""
