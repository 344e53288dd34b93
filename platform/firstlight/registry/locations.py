"""Checkpoint folders: people choose from allowed roots, and a path is checked again whenever it is used."""

import os
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from firstlight.files.errors import Refused
from firstlight.registry.hub import cache_root, find_snapshot, looks_like_hub_id

#: Of a path, as the column of a checkpoint's location holds it.
MOST_CHARACTERS = 1000


def resolve_location(text: str) -> Path:
    """The folder that `text` names, resolved; raises Refused where it is absent or outside the allowed roots."""
    own = [Path(root).resolve() for root in settings.MODEL_ROOTS]
    cache = cache_root()
    roots = [*own, cache] if cache else own
    if not text or "\x00" in text:
        raise Refused("Name the folder of a checkpoint: the field is empty or holds a NUL character.")
    asked = Path(text)
    candidates = [asked] if asked.is_absolute() else [root / asked for root in own]
    inside = []
    for candidate in candidates:
        try:
            # follows symlinks: one that leads out of the roots is refused below
            resolved = candidate.resolve()
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a lone surrogate
            raise Refused(f"{text!r:.200} leads nowhere: check the spelling and the links in it.") from error
        if any(resolved.is_relative_to(root) for root in roots):
            inside.append(resolved)
    # isdir of os.path, which answers False where a name is too long; that of pathlib raises
    folder = next((path for path in inside if os.path.isdir(path)), None)
    if folder is None and looks_like_hub_id(text):
        folder = find_snapshot(text)
        _refuse_links_out(folder, roots)
        return folder
    if not inside:
        allowed = ", ".join(map(str, own))
        raise Refused(
            f"{text} is outside the allowed folders ({allowed}): move it there or set FIRSTLIGHT_MODEL_ROOTS."
        )
    if folder is None:
        raise Refused(f"no such folder: {text}. Check the spelling, or copy the checkpoint there first.")
    if len(str(folder)) > MOST_CHARACTERS:
        raise Refused(
            f"{text:.200}... is a path of {len(str(folder)):,} characters, and at most {MOST_CHARACTERS:,} are kept: "
            "move the checkpoint to a shorter one."
        )
    _refuse_links_out(folder, roots)
    return folder


def _refuse_links_out(folder: Path, roots: list[Path]) -> None:
    """A file of the folder may be a link within the roots, as in the hub's cache, and may not lead out of them."""
    try:
        links = [entry for entry in os.scandir(folder) if entry.is_symlink() and entry.is_file()]
    except OSError as error:
        raise Refused(f"{folder} cannot be read ({error.strerror}): check its permissions.") from error
    for entry in links:
        target = Path(entry.path).resolve()
        if not any(target.is_relative_to(root) for root in roots):
            raise Refused(
                f"{entry.path} is a link to {target}, outside the allowed folders: put the file itself there, or "
                "name that folder in FIRSTLIGHT_MODEL_ROOTS."
            )


def known_folders(limit: int = 200) -> Iterator[str]:
    """Folders with a config.json below the allowed roots, at most four levels down: what the form offers."""
    count = 0
    for root in map(Path, settings.MODEL_ROOTS):
        for depth in range(1, 5):
            for path in sorted(root.glob("*/" * depth + "config.json")):
                yield str(path.parent)
                count += 1
                if count == limit:
                    return
