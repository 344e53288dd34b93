"""Sphinx: the reference of the public modules of passuntil and proxy, from their docstrings (`make docs`)."""

import re
import sys
from pathlib import Path
from types import GenericAlias

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

project = "Firstlight"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
exclude_patterns = ["_templates"]
templates_path = ["_templates"]
html_theme = "alabaster"
html_show_sourcelink = False

autosummary_generate = True
# The face of a room names what its modules define: each is described once, where it is defined.
autosummary_ignore_module_all = True
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"  # the Parameters sections say them in words
numpydoc_show_class_members = False  # autodoc lists them


def setup(app: Sphinx) -> None:
    app.connect("autodoc-skip-member", _leave_out)


def _leave_out(app: Sphinx, what: str, name: str, member: object, skip: bool, options: object) -> bool | None:
    """scikit-learn gives its estimators `set_fit_request` and the like; the alias of a type is no class of ours."""
    return True if re.fullmatch("set_.*_request", name) or isinstance(member, GenericAlias) else None
