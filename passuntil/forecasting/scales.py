"""What may grow in a series. It stands apart, so that a command can name the scales without loading the methods."""

from __future__ import annotations

#: Scales by the name that options and the JSON shape have, with the words that a reader sees.
SCALES = {
    "n_params": "non-embedding parameters N",
    "tokens": "training tokens D",
    "compute": "training compute 6 N D",
}
