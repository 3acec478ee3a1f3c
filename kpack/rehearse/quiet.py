"""The variables that keep known packages off the network, for ``[restore] env``.

Each is documented by its project, and read by the package before it asks; a variable that only silences a warning
has no place here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_HUB = ("HF_HUB_OFFLINE", "1")

BY_PACKAGE = {
    "albumentations": ("NO_ALBUMENTATIONS_UPDATE", "1"),
    "albucore": ("NO_ALBUMENTATIONS_UPDATE", "1"),
    "chromadb": ("ANONYMIZED_TELEMETRY", "False"),
    "clearml": ("CLEARML_OFFLINE_MODE", "1"),
    "datasets": ("HF_DATASETS_OFFLINE", "1"),
    "diffusers": _HUB,
    "gradio": ("GRADIO_ANALYTICS_ENABLED", "False"),
    "huggingface_hub": _HUB,
    "langsmith": ("LANGSMITH_TRACING", "false"),
    "mlflow": ("MLFLOW_DISABLE_TELEMETRY", "true"),
    "neptune": ("NEPTUNE_MODE", "offline"),
    "pip": ("PIP_NO_INDEX", "1"),
    "ray": ("RAY_USAGE_STATS_ENABLED", "0"),
    "sentence_transformers": _HUB,
    "streamlit": ("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false"),
    "timm": _HUB,
    "tokenizers": _HUB,
    "transformers": _HUB,
    "ultralytics": ("YOLO_OFFLINE", "true"),
    "unsloth": ("UNSLOTH_DISABLE_STATISTICS", "1"),
    "vllm": ("VLLM_NO_USAGE_STATS", "1"),
    "wandb": ("WANDB_MODE", "offline"),
}
"""Top-level package to (variable, value)."""

BY_HOST = {
    "api.wandb.ai": ("WANDB_MODE", "offline"),
    "hf.co": _HUB,
    "huggingface.co": _HUB,
    "metadata.google.internal": ("NO_GCE_CHECK", "true"),
}
"""The same by the host that was asked for, where the packages say nothing."""


def variable(chain: Sequence[str], host: str) -> tuple[str, str] | None:
    """Return the variable that stops ``chain`` (packages, outermost first) from asking ``host``; None if unknown.

    The innermost package counts first: it is the one that reads its variable last before it asks.
    """
    for package in reversed(chain):
        if package in BY_PACKAGE:
            return BY_PACKAGE[package]
    for known, stops in BY_HOST.items():
        if host == known or host.endswith(f".{known}"):
            return stops
    return None
