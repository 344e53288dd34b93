"""The process that downloads one revision from the hub: `python -m workers.hub_fetch org/name revision`.

It writes a JSON object a line: the plan, then the end. Weights in safetensors and the texts beside them are fetched;
pickles and code are not.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

#: Never *.bin, *.pt or *.py: those run code when they are read.
WANTED = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]
#: Bytes of the disk that stay free.
SPARE = 2 * 2**30


def main(name: str, revision: str) -> int:
    from huggingface_hub import constants, snapshot_download

    try:
        planned = snapshot_download(name, revision=revision, allow_patterns=WANTED, dry_run=True)
        sizes = [(file.file_size or 0, file.will_download) for file in planned]
        plan = {"total": sum(n for n, _ in sizes), "cached": sum(n for n, missing in sizes if not missing)}
        _say(plan)
        if not any(file.filename.endswith(".safetensors") for file in planned):
            raise _Refused(f"{name} has no weights in safetensors at {revision}: convert them there first.")
        cache = Path(constants.HF_HUB_CACHE)
        cache.mkdir(parents=True, exist_ok=True)
        missing, free = plan["total"] - plan["cached"], shutil.disk_usage(cache).free
        if missing + SPARE > free:
            needed = f"{missing / 2**30:.1f} GiB are to come and {free / 2**30:.1f} GiB are free"
            raise _Refused(f"{needed}: make room first.")
        snapshot_download(name, revision=revision, allow_patterns=WANTED, max_workers=4)
    except Exception as error:  # whatever the network does
        return _say({"error": _reason(error, name, revision)}, status=1)
    return _say({**plan, "done": True})


class _Refused(Exception):
    """What is wrong, with the remedy."""


def _reason(error: Exception, name: str, revision: str) -> str:
    from huggingface_hub.errors import (
        DryRunError,
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    # a plan that cannot be made hides its reason one level down
    cause = (isinstance(error, DryRunError) and error.__cause__) or error
    if isinstance(cause, _Refused):
        return str(cause)
    if isinstance(cause, GatedRepoError):
        return f"{name} is gated: set HF_TOKEN of somebody who was let in, for the site's workers."
    if isinstance(cause, RevisionNotFoundError):
        return f"{name} has no revision {revision!r}: check the spelling."
    if isinstance(cause, RepositoryNotFoundError):
        return f"the hub has no {name}, or it is private: check the spelling, or set HF_TOKEN."
    line = next(iter(str(cause).splitlines()), "") or type(cause).__name__
    return f"the hub could not be read ({line[:300]}): ask again, files that are whole are kept."


def _say(facts: dict[str, Any], status: int = 0) -> int:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
