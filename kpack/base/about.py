"""What a person should know of an image before trusting a lock for it: estimate or exact, how old, how to do better."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kpack.base.model import BaseImage


def days(base: BaseImage, today: dt.date) -> int | None:
    """Return how many days ago the list was taken; None when it does not say."""
    try:
        return (today - dt.date.fromisoformat(base.taken)).days
    except ValueError:
        return None


def about(base: BaseImage, today: dt.date) -> str:
    """Return one sentence: ``kaggle-gpu-…: reconstructed, not probed, 150 days old (high: …); exact is …``."""
    age = days(base, today)
    old = "" if age is None else f", {age} days old"
    said = f" ({base.certainty})" if base.certainty else ""
    if not base.shipped:
        return f"{base.name}: your own list{old}{said}"
    kind = base.accelerator if base.accelerator in ("cpu", "tpu") else "gpu"
    better = f"exact is a probe of your own kernel, kpack probe --kaggle {kind}"
    return f"{base.name}: reconstructed, not probed{old}{said}; {better}"
