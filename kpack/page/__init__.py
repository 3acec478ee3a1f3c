"""A pack as one page of HTML that needs nothing else: what it holds, how large it is, who brings what."""

from kpack.page.render import render
from kpack.page.view import PackPage, page_of

__all__ = ["PackPage", "page_of", "render"]
