"""How Sphinx builds the pages: ``make docs``. Nothing in a built page is fetched from elsewhere."""

from __future__ import annotations

import kpack

project = "kpack"
author = "the authors of kpack"
release = kpack.__version__
version = release

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True
suppress_warnings: list[str] = []

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"kpack {release}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
