"""What all tests share: property tests judge answers, not the speed of the machine.

``KPACK_EXAMPLES`` says how many examples each property is tried with that has no number of its own.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "kpack",
    deadline=None,
    max_examples=int(os.environ.get("KPACK_EXAMPLES", "50")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("kpack")
