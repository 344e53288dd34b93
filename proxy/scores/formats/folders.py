"""Which files of a folder to read: a run leaves its scores beside much that repeats or explains them."""

from __future__ import annotations

from pathlib import Path

from proxy._text import counted
from proxy.errors import ProxyError
from proxy.scores.formats.detect import FORMATS

SUFFIXES = frozenset({".json", ".jsonl", ".eval", ".csv", ".txt", ".md", ".yml", ".yaml", ".parquet", ".gz"})


def files_in(folder: Path) -> list[Path]:
    """List the files of a folder, and of those inside, that may hold results.

    Parameters
    ----------
    folder : Path
        The folder.

    Returns
    -------
    list of Path
        Sorted; hidden files and folders are left out.

    Raises
    ------
    ProxyError
        Where there are none.
    """
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not files:
        raise ProxyError(f"{folder}: no result files in this folder ({', '.join(sorted(SUFFIXES))})")
    return files


def result_files(folder: Path) -> tuple[list[Path], list[str]]:
    """List the files of a folder that hold results, without those that only repeat them.

    Parameters
    ----------
    folder : Path
        The folder: the results of one run, or of many.

    Returns
    -------
    files : list of Path
        Sorted.
    notes : list of str
        What was left out.

    Raises
    ------
    ProxyError
        Where there are none.
    """
    files = files_in(folder)
    left = {path for one in FORMATS if one.repeats is not None for path in one.repeats(files)}
    kept = [path for path in files if path not in left]
    if not left:
        return kept, []
    were = counted(len(left), "file was", "files were")
    example = min(left).relative_to(folder)
    return kept, [f"{folder}: {were} left out, which others of the same run sum up: {example}"]
