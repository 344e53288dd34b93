"""Which format a result file has: the table of all formats, and the way from a file to its records.

A new format is a module of its own and a line in `FORMATS`.
"""

from __future__ import annotations

from pathlib import Path

from proxy.errors import ProxyError
from proxy.scores.formats.document import Format, Reading, open_document
from proxy.scores.formats.every_eval_ever import EVERY_EVAL_EVER
from proxy.scores.formats.inspect_ai import INSPECT
from proxy.scores.formats.lighteval import LIGHTEVAL
from proxy.scores.formats.lm_eval import LM_EVAL
from proxy.scores.formats.opencompass import OPENCOMPASS

#: In the order in which they are asked: lm-eval would take the files of lighteval for its own.
FORMATS: tuple[Format, ...] = (EVERY_EVAL_EVER, INSPECT, LIGHTEVAL, LM_EVAL, OPENCOMPASS)


def read_document(path: Path, form: str = "auto") -> tuple[str, Reading]:
    """Read one result file.

    Parameters
    ----------
    path : Path
        The file.
    form : str, optional
        The name of its format; "auto" looks into the file.

    Returns
    -------
    form : str
        The name of the format that it has; "csv" for text of no other, which is for `read_scores` to read.
    reading : Reading
        Its records and notes; empty for "csv".

    Raises
    ------
    ProxyError
        For a file that cannot be read, JSON of no known form, and a format other than the one asked for.
    """
    document = open_document(path)
    known = next((one for one in FORMATS if one.recognises(document)), None)
    if known is None and document.kind == "json":
        *titles, last = (one.title for one in FORMATS)
        known_titles = f"{', '.join(titles)} or {last}"
        raise ProxyError(f"{path}: JSON of no known form; give a result file of {known_titles}, or a CSV")
    name = "csv" if known is None else known.name
    if form not in ("auto", name):
        raise ProxyError(f"{path}: looks like {name}, not {form}; use --format {name}, or auto")
    if known is None:
        return name, Reading([])
    try:
        return name, known.read(document)
    except ProxyError:
        raise
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as error:
        # Other kinds of values than the program writes: a text for an object, a list for a text.
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ProxyError(f"{path}: looks like {known.title}, but is not in its form ({what:.80})") from None
