"""Secrets in what people write: headers, options, keywords and variables, beside those in URLs."""

from __future__ import annotations

import re

from kpack import urls

_HIDDEN = "***"

_WORD = (
    r"(?:(?:[A-Za-z0-9_]{0,40}_)?(?:token|passw(?:or)?d|pwd|secret|api_?key|access_?key|authorization|cookie|auth)|key)"
)
_VARIABLE = r"[A-Z][A-Z0-9_]{0,40}(?:TOKEN|KEY|SECRET|PASSWORD|PASSWD)"

_PATTERNS = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        # -H 'Authorization: Bearer x'
        (r"\b(authorization|cookie|[a-z-]{1,40}-(?:token|key|auth))(\s*:\s*)[^'\"]+", re.IGNORECASE),
        # --password x, --http-passwd=x, --cookie x
        (
            r"(?<!\S)(--?(?!no-)[a-z-]{0,40}(?:passw(?:or)?d|token|secret|cookie|key))(=\s*|\s+)(?!-|\w+://)(?:'[^']*'|\"[^\"]*\"|\S+)",
            re.IGNORECASE,
        ),
        # -u name:x
        (r"(?<!\S)((?:-u|--user|--proxy-user)(?:=\s*|\s+|)['\"]?[^\s:'\"/]+)(:)[^\s'\"]+", 0),
        # HF_TOKEN=x, as shells and magics have it
        (rf"\b({_VARIABLE})(=)(?![$\s]|['\"]\$)(?:'[^']*'|\"[^\"]*\"|[^\s;&|)]+)", 0),
        # token='x', environ["HF_TOKEN"] = "x", {"api_key": "x"}
        (rf"\b({_WORD}|{_VARIABLE})(['\"]?\]?\s*[=:]\s*)(?:'[^']*'|\"[^\"]*\")", re.IGNORECASE),
        (r"\b(auth)(\s*=\s*)\([^)]*\)", 0),
        # what is a token by its looks
        (r"\b(gh[a-z]_|github_pat_|glpat-|sk-|pypi-AgE|KGAT_|AKIA)()[A-Za-z0-9_-]{12,}", 0),
        (r"\b(hf_)()[A-Za-z0-9]{12,}", 0),  # and not hf_hub_download
    )
)


def hidden(text: str) -> str:
    """Return one line of somebody's text without the secrets in it, as far as its words tell."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1\2{_HIDDEN}", text)
    return urls.redacted(text, f"{_HIDDEN}@")
