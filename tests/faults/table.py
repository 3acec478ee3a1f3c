"""Every scene, by the command that is disturbed."""

from __future__ import annotations

from tests.faults.kaggle_scenes import (
    build_from_kaggle_scene,
    lock_from_kaggle_scene,
    notebooks_scene,
    probe_scene,
    record_from_kaggle_scene,
    status_scene,
)
from tests.faults.scenes import (
    build_scene,
    lock_scene,
    push_scene,
    record_scene,
    rehearse_on_kaggle_scene,
    rehearse_scene,
    restore_scene,
)

SCENES = {
    "lock": lock_scene,
    "build": build_scene,
    "push": push_scene,
    "push --notebooks": notebooks_scene,
    "rehearse": rehearse_scene,
    "rehearse --kaggle": rehearse_on_kaggle_scene,
    "record": record_scene,
    "record of kagglehub": record_from_kaggle_scene,
    "probe --kaggle": probe_scene,
    "status": status_scene,
    "lock of kaggle://": lock_from_kaggle_scene,
    "build of kaggle://": build_from_kaggle_scene,
    "restore": restore_scene,
}
