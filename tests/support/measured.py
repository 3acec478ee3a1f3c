"""How coverage reaches the processes that tests start: a variable, kept from before the first test."""

from __future__ import annotations

import os

VARIABLE = "COVERAGE_PROCESS_CONFIG"
"""What ``patch = ["subprocess"]`` of coverage sets, and its start-up file reads in every process."""

CONFIG = {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {}
"""What a process needs that shall be measured whichever test starts it."""
