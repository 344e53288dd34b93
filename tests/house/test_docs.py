"""The reference's check of docstrings: what it lets through and what it refuses."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WHOLE = '''"""A module."""


class Draw:
    """A draw.

    Parameters
    ----------
    length : int
        Its length in tokens, at least 1.
    """

    def __init__(self, length: int) -> None:
        self.length = length

    @property
    def long(self) -> bool:
        """Whether a person would call it long."""
        return self.length > 100


class Rule:
    """A rule."""

    @property
    def words(self) -> str:
        """The rule in words."""
        return "some"


class Fixed(Rule):
    """A rule that says the same of its words as every rule."""

    @property
    def words(self) -> str:
        return "fixed"


def _helper(x):
    return x


def chance(passes: int) -> float:
    """The chance of a pass.

    Parameters
    ----------
    passes : int
        How many passed.

    Returns
    -------
    float
        In [0, 1].
    """
    return passes / 2
'''


def check(folder: Path, text: str) -> tuple[int, str]:
    (folder / "sample_of_docs.py").write_text(text)
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "reference" / "check_docstrings.py", "sample_of_docs"],
        env={**os.environ, "PYTHONPATH": str(folder)}, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_a_module_with_every_section_passes(tmp_path: Path) -> None:
    assert check(tmp_path, WHOLE) == (0, "")


def test_each_missing_section_is_a_line_with_its_place(tmp_path: Path) -> None:
    text = WHOLE
    for part, instead in (
        ('"""A module."""', ""),
        ("length : int\n        Its length in tokens, at least 1.", "width : int\n        Wide."),
        ('        """Whether a person would call it long."""\n', ""),
        ('        """The rule in words."""\n', ""),
        ("\n    Returns\n    -------\n    float\n        In [0, 1].\n", ""),
    ):
        assert part in text
        text = text.replace(part, instead)
    code, out = check(tmp_path, text)
    assert code == 1
    failures = {tuple(line.split(": ", 2)[1:]) for line in out.splitlines()}
    assert {(name, rest[:4]) for name, rest in failures} == {
        ("sample_of_docs", "GL08"),
        ("sample_of_docs.Draw", "PR01"),
        ("sample_of_docs.Draw", "PR02"),
        ("sample_of_docs.Draw.long", "GL08"),
        ("sample_of_docs.Rule.words", "GL08"),
        ("sample_of_docs.Fixed.words", "GL08"),
        ("sample_of_docs.chance", "RT01"),
    }
    assert all(line.startswith("sample_of_docs.py:") for line in out.splitlines())
