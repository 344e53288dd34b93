"""Checkpoints by their hub id, `org/name` or `org/name@revision`, from the local cache of the hub (extra `hub`).

The cache comes first. What is not in it is downloaded by a worker (`registry.downloads`) where the site is online, else
fetched on its machine with the hub's own command. A snapshot's files are links into the cache's blobs.
"""

import re
from pathlib import Path

from django.conf import settings

from firstlight.files.errors import Refused

_ID = re.compile(r"(?P<id>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@(?P<revision>[\w./-]{1,128}))?")


class NotCached(Refused):
    """A hub id that the cache does not hold."""


def cache_root() -> Path | None:
    """The folder of the cache, or None without the extra."""
    try:
        from huggingface_hub import constants
    except ImportError:
        return None
    return Path(constants.HF_HUB_CACHE).resolve()


def looks_like_hub_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def read_hub_id(text: str) -> tuple[str, str]:
    """Name and revision of a hub id; raises Refused for anything else."""
    match = _ID.fullmatch(text)
    if match is None:
        raise Refused(f"{text!r:.200} is no hub id: write it as org/name or org/name@revision.")
    return match["id"], match["revision"] or "main"


def find_snapshot(text: str) -> Path:
    """The cached snapshot that a hub id means; raises NotCached with how to get it."""
    name, revision = read_hub_id(text)
    what = f"{name} looks like a hub id, and no allowed folder has that name"
    root = cache_root()
    if root is None:
        raise Refused(f"{what}. The extra hub is not installed: pip install 'firstlight[hub]'.")
    repository = root / f"models--{name.replace('/', '--')}"
    if not (repository / "snapshots").is_dir():
        raise NotCached(f"{what}. It is not in the hub's cache of this machine: {_remedy(name, revision)}")
    commit = _commit(repository, revision)
    path = repository / "snapshots" / commit
    if not commit or not path.is_dir():
        known = sorted(entry.name[:12] for entry in (repository / "snapshots").iterdir())[:5]
        there = ", ".join(known) or "none"
        raise NotCached(
            f"{name} is in the hub's cache, but not its revision {revision!r} (there are {there}): "
            f"{_remedy(name, revision)}"
        )
    return path


def _remedy(name: str, revision: str) -> str:
    if settings.HUB_ONLINE:
        return "have it downloaded on the page where checkpoints are registered, or with firstlight register."
    asked = "" if revision == "main" else f" --revision {revision}"
    return f"run on this machine hf download {name}{asked}"


def source_of(folder: Path) -> str:
    """`org/name@commit` of a folder that is a snapshot of the cache, else ""."""
    root = cache_root()
    if root is None or not folder.is_relative_to(root):
        return ""
    parts = folder.relative_to(root).parts
    if len(parts) != 3 or not parts[0].startswith("models--") or parts[1] != "snapshots":
        return ""
    return f"{parts[0].removeprefix('models--').replace('--', '/', 1)}@{parts[2]}"


def _commit(repository: Path, revision: str) -> str:
    """The commit that a branch, a tag or the beginning of a commit names; "" where none does."""
    parts = revision.split("/")
    reference = repository.joinpath("refs", *parts)
    if all(part not in ("", ".", "..") for part in parts) and reference.is_file():
        commit = reference.read_text().strip()
        return commit if re.fullmatch(r"[0-9a-f]{40}", commit) else ""
    if re.fullmatch(r"[0-9a-f]{7,40}", revision):
        fit = [
            entry.name for entry in (repository / "snapshots").iterdir() if entry.name.startswith(revision)
        ]
        return fit[0] if len(fit) == 1 else ""
    return ""
