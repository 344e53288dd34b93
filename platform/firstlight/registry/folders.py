"""What lies in a folder of checkpoints: each model with what its files and its name say, before anything is saved."""

import csv
import io
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import UploadedFile

from firstlight.files.errors import Refused
from firstlight.files.model_folder import ModelFolder, ModelFolderError, read_headers_of
from firstlight.files.strict_json import StrictJsonError, strict_loads
from firstlight.registry.hub import source_of
from firstlight.registry.locations import resolve_location
from passuntil import PassUntilError
from passuntil.sizes import read_whole_size

#: Checkpoints of one preview: more are registered in parts.
MOST = 500
#: Levels below the named folder that are looked at, and folders looked at in all.
DEPTH, MOST_FOLDERS = 3, 20_000
MAX_STATE_BYTES = 64 * 2**20

#: The last one of a name counts: step-1000-seed-2 is step 1,000 of seed 2.
_STEP = re.compile(r"(?:global[_-]?step|iter|step|checkpoint|ckpt)[_-]?0*(\d{1,12})(?!\d*[a-z])", re.I)
_SEED = re.compile(r"(?:^|[^a-z])(?:seed|s)[_-]?(\d{1,9})(?![\da-z])", re.I)
_TOKENS = re.compile(r"(?:^|[^\da-z.])(\d+(?:\.\d+)?[kmbt])[_-]?(?:tokens|tok)(?![a-z])", re.I)


@dataclass(frozen=True)
class FoundFolder:
    """A checkpoint of a folder. `told`: field -> where its value comes from, for those not in the weights' headers.

    refused: why it cannot be registered, or "".
    """

    location: str
    name: str
    folder: ModelFolder | None = None
    tokens: int | None = None
    step: int | None = None
    seed: int | None = None
    told: dict[str, str] = field(default_factory=dict)
    refused: str = ""
    configuration: str = ""
    source: str = ""

    def facts(self) -> dict[str, Any]:
        """As pages, commands and the API show it."""
        folder = self.folder
        return {
            "location": self.location,
            "name": self.name,
            "n_params": folder.n_params if folder else None,
            "dtype": folder.dtype if folder else None,
            "architecture": folder.architecture if folder else None,
            "bytes": folder.bytes if folder else None,
            "seen": folder.seen if folder else "",
            "tokens": self.tokens,
            "step": self.step,
            "seed": self.seed,
            "told": self.told,
            "configuration": self.configuration,
            "source": self.source,
            "refused": self.refused,
        }


def find_checkpoints(text: str) -> list[FoundFolder]:
    """The checkpoint that a folder is, or those in it, the smallest first; raises Refused where there is none."""
    root = resolve_location(text)
    if source := source_of(root):
        return [replace(look(root, root), name=text[:120], source=source)]
    folders = [root] if (root / "config.json").is_file() else list(_below(root))
    if not folders:
        raise Refused(
            f"{text} holds no checkpoint: no config.json in it or in the {DEPTH} levels below. Name the folder that a "
            "model was saved to, or one that holds such folders."
        )
    if len(folders) > MOST:
        raise Refused(
            f"{text} holds more than {MOST} checkpoints: name a folder inside it, and register them in parts."
        )
    found = [look(folder, root) for folder in folders]
    return sorted(
        found, key=lambda one: (one.folder is None, one.folder.n_params if one.folder else 0, one.step or 0)
    )


#: Bytes of a CSV of checkpoints.
MOST_TABLE = 2 * 2**20


def find_in_upload(file: UploadedFile) -> list[FoundFolder]:
    """The checkpoints that an uploaded CSV names."""
    content = file.read(MOST_TABLE + 1)
    if len(content) > MOST_TABLE:
        raise Refused(f"the CSV is larger than {MOST_TABLE // 2**20} MiB: register its checkpoints in parts.")
    return find_in_table(content)


def find_in_table(content: bytes) -> list[FoundFolder]:
    """The checkpoints that a CSV names: a column folder, and as many of COLUMNS as there are.

    Raises Refused with the line of what cannot be read.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"the CSV is no UTF-8 text (byte {error.start}): save it as UTF-8.") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    found = []
    try:
        columns = [name.strip() for name in reader.fieldnames or []]
        if "folder" not in columns or not set(columns) <= {*COLUMNS}:
            known = ", ".join(COLUMNS)
            raise Refused(
                f"the first line of the CSV names its columns, folder and any of {known}; not {columns!r}."
            )
        reader.fieldnames = columns
        for row in reader:
            found.append(_of_row(row, reader.line_num))
            if len(found) > MOST:
                raise Refused(f"the CSV names more than {MOST} checkpoints: register them in parts.")
    except csv.Error as error:
        raise Refused(f"the CSV cannot be read at line {reader.line_num}: {error}.") from error
    if not found:
        raise Refused("the CSV names no checkpoint: write one on each line below the names of the columns.")
    return found


#: Columns of a CSV of checkpoints.
COLUMNS = ("folder", "name", "tokens", "step", "seed", "configuration")


def _of_row(row: dict[Any, Any], line: int) -> FoundFolder:
    values = {str(name): (value or "").strip() for name, value in row.items() if name is not None}
    if None in row:
        raise Refused(f"line {line} of the CSV has more cells than its first line has names.")
    try:
        folder = resolve_location(values["folder"])
    except Refused as error:
        raise Refused(f"line {line} of the CSV: {error}") from error
    one = look(folder, folder)
    given: dict[str, Any] = {name: values[name] for name in ("name", "configuration") if values.get(name)}
    for name in ("tokens", "step", "seed"):
        if values.get(name):
            try:
                size = read_whole_size(values[name], name) if name == "tokens" else int(values[name])
            except (PassUntilError, ValueError) as error:
                raise Refused(
                    f"line {line} of the CSV: {name} is no whole number: {values[name]!r:.60}."
                ) from error
            if not 0 <= size < 2**63:
                raise Refused(f"line {line} of the CSV: {name} is no whole number: {values[name]!r:.60}.")
            given[name] = size
    return replace(one, **given, told=one.told | dict.fromkeys(given, "from the CSV"))


def look(folder: Path, root: Path) -> FoundFolder:
    """One folder; `root` is what the person named, and names inside it are told apart by their path from there."""
    name = folder.name if folder == root else str(folder.relative_to(root)).replace(os.sep, "/")
    try:
        headers = read_headers_of(resolve_location(str(folder)))
    except (ModelFolderError, Refused) as error:
        return FoundFolder(str(folder), name, refused=str(error))
    told: dict[str, str] = {}
    values: dict[str, int | None] = {"tokens": None, "step": None, "seed": None}
    # what a trainer wrote goes before what a name says
    for source, facts in (("from its name", from_name(f"{root.name}/{name}")), *_written(folder, headers)):
        for key, value in facts.items():
            values[key], told[key] = value, source
    tokens, step, seed = values["tokens"], values["step"], values["seed"]
    return FoundFolder(str(folder), name[:120], headers, tokens, step, seed, told=told)


def from_name(name: str) -> dict[str, int]:
    """Step, seed and tokens that the name of a folder says."""
    said: dict[str, int] = {}
    for key, pattern in (("step", _STEP), ("seed", _SEED)):
        if matches := pattern.findall(name):
            said[key] = int(matches[-1])
    if matches := _TOKENS.findall(name):
        with suppress(PassUntilError):
            said["tokens"] = read_whole_size(matches[-1], "tokens")
    return said


def _written(folder: Path, headers: ModelFolder) -> Iterator[tuple[str, dict[str, int]]]:
    """What the trainer wrote beside the weights."""
    for file, keys in (
        ("trainer_state.json", {"global_step": "step", "num_input_tokens_seen": "tokens"}),
        ("training_args.json", {"seed": "seed"}),
    ):
        state = _json(folder / file)
        said = {
            key: state[name]
            for name, key in keys.items()
            if type(state.get(name)) is int and 0 <= state[name] < 2**63 and (key != "tokens" or state[name])
        }
        if said:
            yield f"from {file}", said


def _json(file: Path) -> dict[str, Any]:
    """A file that a trainer may have left; {} where it cannot be read, since nothing depends on it."""
    try:
        if not file.is_file() or file.stat().st_size > MAX_STATE_BYTES:
            return {}
        value = strict_loads(file.read_bytes())
    except (OSError, StrictJsonError):
        return {}
    return value if isinstance(value, dict) else {}


def _below(root: Path) -> Iterator[Path]:
    """Folders with a config.json, at most DEPTH levels down; no link is followed."""
    level, looked = [root], 0
    for _ in range(DEPTH):
        following: list[Path] = []
        for folder in level:
            try:
                with os.scandir(folder) as entries:
                    inside = sorted(Path(e.path) for e in entries if e.is_dir(follow_symlinks=False))
            except OSError:
                continue
            for path in inside:
                looked += 1
                if looked > MOST_FOLDERS:
                    raise Refused(f"{root} holds more than {MOST_FOLDERS:,} folders: name one inside it.")
                if (path / "config.json").is_file():
                    yield path
                else:
                    following.append(path)
        level = following
