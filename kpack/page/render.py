"""The page's bytes: one template, everything in it escaped, nothing fetched, and no script or style but its own."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpack.page.view import PackPage, Tile


def render(page: PackPage, *, plain: Callable[[str], str], size: Callable[[int], str]) -> str:
    """Return the HTML of ``page``.

    ``plain`` makes text of others harmless for a screen (controls, directions), ``size`` says bytes for people. The
    policy in the page lets no script and no style run but those whose digests it names, and no request leave.
    """
    environment = Environment(
        loader=PackageLoader("kpack.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) or not isinstance(value, str) else plain(value),
    )
    environment.filters["size"] = size
    style, places, script = _asset("page.css"), _places(page.tiles), _asset("page.js")
    policy = (
        f"default-src 'none'; style-src {_digest(style)} {_digest(places)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    text: str = environment.get_template("page.html.jinja").render(
        page=page,
        policy=policy,
        style=Markup(style),  # noqa: S704 - kpack's own file
        places=Markup(places),  # noqa: S704 - numbers
        script=Markup(script),  # noqa: S704 - kpack's own file
    )
    return text


def _asset(name: str) -> str:
    return resources.files("kpack.page").joinpath("templates", name).read_text(encoding="utf-8").strip()


def _digest(text: str) -> str:
    """Return what Content-Security-Policy calls a script or style by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _places(tiles: tuple[Tile, ...]) -> str:
    """Return the rules that put each tile in its place: the policy allows no style in an element."""
    return "\n".join(
        "#{}{{left:{:.3f}%;top:{:.3f}%;width:{:.3f}%;height:{:.3f}%}}".format(tile.id, *tile.place) for tile in tiles
    )
