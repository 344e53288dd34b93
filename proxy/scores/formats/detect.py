"""Which format a result file has: the table of all formats, and the way from a file to its records.

A new format is a module of its own and a line in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from proxy._files import shown_path
from proxy.errors import ProxyError
from proxy.scores.formats.document import Document, Format, Reading, open_document
from proxy.scores.formats.evalscope import EVALSCOPE
from proxy.scores.formats.every_eval_ever import EVERY_EVAL_EVER
from proxy.scores.formats.every_eval_ever_samples import EVERY_EVAL_EVER_SAMPLES
from proxy.scores.formats.helm import HELM
from proxy.scores.formats.inspect_ai import INSPECT
from proxy.scores.formats.lighteval import LIGHTEVAL
from proxy.scores.formats.lighteval_details import LIGHTEVAL_DETAILS
from proxy.scores.formats.lm_eval import LM_EVAL
from proxy.scores.formats.lm_eval_samples import LM_EVAL_SAMPLES
from proxy.scores.formats.nemo_evaluator import NEMO_EVALUATOR
from proxy.scores.formats.olmes import OLMES
from proxy.scores.formats.olmo_eval import OLMO_EVAL
from proxy.scores.formats.opencompass import OPENCOMPASS
from proxy.scores.formats.opencompass_results import OPENCOMPASS_RESULTS

#: In the order in which they are asked: lm-eval would take the files of lighteval for its own, and its samples say
#: less of themselves than others'.
FORMATS: tuple[Format, ...] = (
    EVERY_EVAL_EVER,
    EVERY_EVAL_EVER_SAMPLES,
    INSPECT,
    EVALSCOPE,
    HELM,
    OLMES,
    OLMO_EVAL,
    NEMO_EVALUATOR,
    LIGHTEVAL,
    LIGHTEVAL_DETAILS,
    LM_EVAL,
    LM_EVAL_SAMPLES,
    OPENCOMPASS_RESULTS,
    OPENCOMPASS,
)


def recognised(path: Path) -> tuple[Document, Format | None]:
    """Open one result file and tell its format.

    Parameters
    ----------
    path : Path
        The file; "-" is standard input.

    Returns
    -------
    document : Document
        The file.
    form : Format or None
        Its format; None for text of none, which is for `read_scores` to read.

    Raises
    ------
    ProxyError
        For a file that cannot be read, and for JSON of no known form.
    """
    document = open_document(path)
    known = next((one for one in FORMATS if document.kind in one.kinds and one.recognises(document)), None)
    if known is None and document.kind != "text":
        *titles, last = dict.fromkeys(one.title for one in FORMATS)
        kinds = {"lines": "JSON lines", "list": "a JSON list", "parquet": "Parquet", "archive": "an archive"}
        raise ProxyError(
            f"{shown_path(path)}: {kinds.get(document.kind, 'JSON')} of no known form; give a result file of "
            f"{', '.join(titles)} or {last}, or a CSV"
        )
    return document, known


def read_document(path: Path, form: str = "auto", *, model: str | None = None) -> tuple[str, Reading]:
    """Read one result file.

    Parameters
    ----------
    path : Path
        The file; "-" is standard input.
    form : str, optional
        The name of its format; "auto" looks into the file.
    model : str, optional
        The model's name, where the file does not say it.

    Returns
    -------
    form : str
        The name of the format that it has; "csv" for text of no other, which is for `read_scores` to read.
    reading : Reading
        Its records and notes; only its text for "csv".

    Raises
    ------
    ProxyError
        For a file that cannot be read, JSON of no known form, a format other than the one asked for, and a file that
        says no model name where none is given.
    """
    document, known = recognised(path)
    name = "csv" if known is None else known.name
    if form not in ("auto", name):
        raise ProxyError(f"{shown_path(path)}: looks like {name}, not {form}; use --format {name}, or auto")
    if known is None:
        return name, Reading([], text=document.text)
    reading = read_as(known, document, known.read)
    return name, replace(
        reading,
        records=[
            record if record.model else replace(record, model=given(path, model))
            for record in reading.records
        ],
    )


def read_as(form: Format, document: Document, read: Callable[[Document], Reading]) -> Reading:
    """Read a document that a format recognised.

    Parameters
    ----------
    form : Format
        The format.
    document : Document
        The document.
    read : callable
        The way of the format to read it: `Format.read` or `Format.samples`.

    Returns
    -------
    Reading
        What the format read.

    Raises
    ------
    ProxyError
        For a document that is not in the format's form after all.
    """
    try:
        return read(document)
    except ProxyError:
        raise
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as error:
        # Other kinds of values than the program writes: a text for an object, a list for a text.
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ProxyError(
            f"{shown_path(document.path)}: looks like {form.title}, but is not in its form ({what:.80})"
        ) from None


def given(path: Path, model: str | None) -> str:
    """Name the model of a file that does not.

    Parameters
    ----------
    path : Path
        The file.
    model : str or None
        The name that was given.

    Returns
    -------
    str
        The name.

    Raises
    ------
    ProxyError
        Where none was given.
    """
    if not model:
        raise ProxyError(f"{shown_path(path)}: says no model name; give --model NAME")
    return model
