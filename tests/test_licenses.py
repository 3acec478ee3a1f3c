"""What metadata says of a licence, and what an allow list lets in."""

from __future__ import annotations

import pytest

from kpack import licenses

APACHE = "Classifier: License :: OSI Approved :: Apache Software License"


def license_of(*lines: str) -> licenses.License:
    fields = [tuple(line.split(": ", 1)) for line in lines]
    return licenses.read(licenses.headers(fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lines", "expression"),
    [
        (["License-Expression: mit"], "MIT"),
        (["License-Expression: MIT OR apache-2.0", "License: GPL"], "MIT OR Apache-2.0"),
        (["License: Apache License, Version 2.0"], "Apache-2.0"),
        (["License: Apache2.0"], "Apache-2.0"),
        (["License: BSD", "Classifier: License :: OSI Approved :: MIT License"], "MIT"),
        (["License: BSD-3-Clause", "Classifier: License :: OSI Approved :: BSD License"], "BSD-3-Clause"),
        (["License: UNKNOWN", APACHE], "Apache-2.0"),
        ([APACHE, "Classifier: License :: OSI Approved :: MIT License"], "Apache-2.0 AND MIT"),
        (["Classifier: License :: OSI Approved", "License: (MIT)"], "MIT"),
        (["License-Expression: LicenseRef-Proprietary"], "LicenseRef-Proprietary"),
    ],
)
def test_the_first_place_that_names_an_spdx_licence_counts(lines: list[str], expression: str) -> None:
    assert license_of(*lines).expression == expression


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], ""),
        (["License: UNKNOWN"], ""),
        (["License: BSD", "Classifier: License :: OSI Approved :: BSD License"], "BSD, BSD License"),
        (["License: Dual\n\n  of many lines"], "Dual"),
        (["License-Expression: my own"], "my own"),
        (["Classifier: License :: Other/Proprietary License", APACHE], "Other/Proprietary License"),
    ],
)
def test_what_names_none_is_shown_and_not_guessed(lines: list[str], said: str) -> None:
    found = license_of(*lines)
    assert found.expression == ""
    assert said in found.said
    assert not licenses.allowed(found, ["MIT", "BSD-3-Clause"])


@pytest.mark.parametrize(
    ("expression", "allow", "answer"),
    [
        ("MIT", ["MIT"], True),
        ("MIT", ["Apache-2.0"], False),
        ("MIT OR GPL-3.0-only", ["MIT"], True),
        ("MIT AND GPL-3.0-only", ["MIT"], False),
        ("MIT AND (BSD-3-Clause OR GPL-3.0-only)", ["MIT", "BSD-3-Clause"], True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only"], True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only WITH Classpath-exception-2.0"], True),
        ("GPL-2.0-only", ["GPL-2.0-only WITH Classpath-exception-2.0"], False),
        ("GPL-3.0-or-later", ["GPL-3.0-only"], False),
        ("LicenseRef-Own", ["LicenseRef-Own"], True),
        ("MIT AND PSF-2.0", ["MIT AND PSF-2.0"], True),
    ],
)
def test_of_a_choice_one_suffices_and_of_a_sum_all_are_needed(
    expression: str, allow: list[str], *, answer: bool
) -> None:
    assert licenses.allowed(licenses.License(expression, expression), allow) is answer


def test_an_expression_is_spelled_as_spdx_does_or_refused() -> None:
    assert licenses.expression("mit or apache-2.0") == "MIT OR Apache-2.0"
    with pytest.raises(ValueError, match="bsd"):
        licenses.expression("BSD")
