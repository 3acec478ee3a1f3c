"""A squarified treemap (Bruls, Huizing, van Wijk, "Squarified Treemaps", 2000): areas as sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Rectangle(NamedTuple):
    """A place in the map: all four in per cent of its width and height."""

    left: float
    top: float
    width: float
    height: float


def squarified(sizes: Sequence[float], *, aspect: float) -> list[Rectangle]:
    """Return a rectangle for each of ``sizes``, which are positive and descend, that together fill the map.

    ``aspect`` is the map's width by its height: what looks square is worked out with it.
    """
    total = sum(sizes)
    width, height = aspect * 100.0, 100.0
    areas = [size / total * width * height for size in sizes]
    left = top = 0.0
    found: list[Rectangle] = []
    begin = 0
    while begin < len(areas):
        room_wide, room_high = width - left, height - top
        side = min(room_wide, room_high)
        end = begin + 1
        while end < len(areas) and _worst(areas[begin : end + 1], side) <= _worst(areas[begin:end], side):
            end += 1
        row = areas[begin:end]
        depth = sum(row) / side
        at = 0.0
        for area in row:
            length = area / depth
            if room_wide >= room_high:  # a column at the left
                place = Rectangle(left, top + at, depth, length)
            else:  # a row at the top
                place = Rectangle(left + at, top, length, depth)
            found.append(Rectangle(place.left / aspect, place.top, place.width / aspect, place.height))
            at += length
        if room_wide >= room_high:
            left += depth
        else:
            top += depth
        begin = end
    return found


def _worst(row: Sequence[float], side: float) -> float:
    """Return how far from a square the worst rectangle of a row is (1 is a square)."""
    total = sum(row)
    return max(side * side * max(row) / (total * total), total * total / (side * side * min(row)))
