"""Readers of other programs' result files, a module a program: each turns one file into records.

What a file does not say stays unknown: nothing is guessed but the number of items behind an accuracy, which its
standard error determines.
"""

from proxy.scores.formats.detect import FORMATS, read_document
from proxy.scores.formats.document import Document, Format, Reading
from proxy.scores.formats.record import Record

__all__ = ["FORMATS", "Document", "Format", "Reading", "Record", "read_document"]
