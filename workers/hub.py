"""Downloads from the hub: in a process of its own, which is watched, ended when it hangs, and followed by another."""

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from firstlight.registry import downloads
from firstlight.registry.hub import cache_root
from firstlight.registry.models import HubDownload
from workers.supervisor import die_with_parent

log = logging.getLogger(__name__)
#: Seconds between two looks at how far it is, which prolong the lease too.
PACE = 1.0
#: Seconds without a byte, then the process is ended.
PATIENCE = 300.0


def download(pk: int) -> bool:
    """Fetch one download that waits. False where there was nothing to do."""
    row = downloads.claim(pk)
    if row is None:
        return False
    _clear_left_overs(row)
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(
            [sys.executable, "-m", "workers.hub_fetch", row.repository, row.revision],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"},
            preexec_fn=die_with_parent,
        )
        try:
            why = _watch(child, row, said.fileno())
        finally:
            child.kill()
            child.wait()
    if why:
        log.warning("download of %s failed: %s", row, why)
        downloads.fail(row, why)
    else:
        downloads.settle(row)
    return True


def _watch(child: "subprocess.Popen[bytes]", row: HubDownload, said: int) -> str:
    """Until the child ends; why it failed, or ""."""
    start = before = _bytes_of(row)
    moved = time.monotonic()
    while child.poll() is None:
        time.sleep(PACE)
        now = _bytes_of(row)
        if now != before:
            before, moved = now, time.monotonic()
        elif time.monotonic() - moved > PATIENCE:
            return f"nothing came for {PATIENCE:.0f} s: ask again, files that are whole are kept."
        plan = _last(said)
        total = int(plan.get("total", 0))
        downloads.progress(
            row, done=min(total, int(plan.get("cached", 0)) + max(0, now - start)), total=total
        )
    end = _last(said)
    if child.returncode == 0 and end.get("done"):
        downloads.progress(row, done=int(end["total"]), total=int(end["total"]))
        return ""
    return str(end.get("error") or f"the download ended with status {child.returncode}: ask again.")


def _last(said: int) -> dict[str, Any]:
    """What the child said last, a JSON object a line."""
    lines = os.pread(said, 65_536, 0).decode(errors="replace").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    facts: dict[str, Any] = json.loads(whole[-1]) if whole else {}
    return facts


def _bytes_of(row: HubDownload) -> int:
    """Bytes of the repository in the cache, with those of files that are still coming."""
    return sum(size for _, size, _ in _files_of(row))


def _clear_left_overs(row: HubDownload) -> None:
    """Remove parts of files whose process was killed: the hub's library begins such a file anew under another name."""
    for path, _, changed in list(_files_of(row)):
        if path.suffix == ".incomplete" and time.time() - changed > 2 * PATIENCE:
            path.unlink(missing_ok=True)


def _files_of(row: HubDownload) -> Iterator[tuple[Path, int, float]]:
    """Path, size and time of the last change of each file of the repository in the cache."""
    root = cache_root()
    assert root is not None, "the extra hub was there when the download was asked for"
    for path in (root / f"models--{row.repository.replace('/', '--')}" / "blobs").glob("*"):
        with suppress(FileNotFoundError):  # just renamed
            about = path.stat()
            yield path, about.st_size, about.st_mtime
