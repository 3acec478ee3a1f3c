"""What Kaggle takes as a title and a slug: the two belong together, and a mismatch surprises only much later."""

from __future__ import annotations

import re

from kpack.errors import UsageError

SHORTEST, LONGEST = 6, 50
"""Characters of a title and of a dataset's slug."""


def slug_of(title: str) -> str:
    """Return the slug that Kaggle makes of an ASCII title."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def title_of(slug: str, where: str) -> str:
    """Return a title that becomes ``slug`` again; ``where`` names who wants it.

    Raises:
        UsageError: there is none that Kaggle takes.

    """
    title = slug.replace("-", " ")
    if slug_of(title) != slug:
        raise UsageError(
            f"{slug!r} is no name that Kaggle gives",
            where=where,
            next=f"write it like {slug_of(slug)!r}: lower-case letters and digits with single hyphens between them",
        )
    if not SHORTEST <= len(slug) <= LONGEST:
        raise UsageError(
            f"{slug!r} has {len(slug)} characters, Kaggle takes {SHORTEST} to {LONGEST}",
            where=where,
            next="choose a longer name" if len(slug) < SHORTEST else "choose a shorter name",
        )
    return title


def split(ref: str, where: str) -> tuple[str, str]:
    """Return owner and slug of ``owner/slug``.

    Raises:
        UsageError: it is not of that form.

    """
    owner, slash, slug = ref.partition("/")
    if not owner or not slash or not slug or "/" in slug:
        raise UsageError(f"{ref!r} is not owner/slug", where=where, next="write it as in the address on Kaggle")
    return owner, slug
