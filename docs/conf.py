"""How Sphinx builds the pages: ``make docs``. Nothing in a built page is fetched from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sphinx.ext.napoleon import GoogleDocstring

import kpack

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "kpack"
author = "the authors of kpack"
release = kpack.__version__
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
nitpicky = True
# Types of the standard library and of inner rooms: their pages are not here.
nitpick_ignore = [
    ("py:class", name) for name in ("Change", "Fallback", "Lock", "Misfit", "Path", "os.PathLike", "pathlib.Path")
]
suppress_warnings: list[str] = []

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"kpack {release}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

autodoc_member_order = "bysource"
# Sections like "Raises:" are read in functions alone: in the words below an attribute a colon is a colon.
napoleon_google_docstring = napoleon_numpy_docstring = False


def setup(app: Sphinx) -> None:
    """Have the sections of functions' docstrings read."""
    app.connect("autodoc-process-docstring", _sections)


def _sections(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    if what == "function":
        lines[:] = GoogleDocstring(list(lines), app.config, app, what, name, obj, options).lines()
