"""What the image has already: requests that it satisfies, imports that it provides, and what is left of both."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name

from kpack import base
from kpack.environment import hashes
from kpack.environment.errors import quoted
from kpack.environment.requirements import package
from kpack.errors import typed
from kpack.importing.finding import Finding, Outcome
from kpack.importing.harvest import Line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpack.base import BaseImage
    from kpack.importing.harvest import Harvest

_KAGGLES_OWN = frozenset(
    [
        "IPython",
        "google",
        "kaggle_datasets",
        "kaggle_environments",
        "kaggle_evaluation",
        "kaggle_secrets",
        "kaggle_session",
        "kaggle_web_client",
        "kagglegym",
        "learntools",
        "pip",
        "pkg_resources",
        "setuptools",
    ]
)
"""Modules that every kernel of Kaggle has, whatever distribution they are of."""

_ELSEWHERE = {
    "Bio": "biopython",
    "Levenshtein": "levenshtein",
    "MeCab": "mecab-python3",
    "OpenEXR": "openexr",
    "Xlib": "python-xlib",
    "awq": "autoawq",
    "barcode": "python-barcode",
    "camelot": "camelot-py",
    "classification_models": "image-classifiers",
    "deepspeed": "deepspeed",
    "discord": "discord-py",
    "docx": "python-docx",
    "efficientnet_pytorch": "efficientnet-pytorch",
    "esm": "esm fair-esm",
    "faiss": "faiss-cpu",
    "ffmpeg": "ffmpeg-python",
    "fitz": "pymupdf",
    "git": "gitpython",
    "groundingdino": "groundingdino-py",
    "hydra": "hydra-core",
    "iterstrat": "iterative-stratification",
    "jose": "python-jose",
    "llama_cpp": "llama-cpp-python",
    "lofo": "lofo-importance",
    "magic": "python-magic",
    "nacl": "pynacl",
    "nemo": "nemo-toolkit",
    "open_clip": "open-clip-torch",
    "openbabel": "openbabel-wheel",
    "paddle": "paddlepaddle",
    "paddleocr": "paddleocr",
    "pdfminer": "pdfminer-six",
    "pl_bolts": "lightning-bolts",
    "pptx": "python-pptx",
    "pyannote": "pyannote-audio",
    "pycocotools": "pycocotools",
    "pydicom": "pydicom",
    "rdkit": "rdkit",
    "ruamel": "ruamel.yaml",
    "sacremoses": "sacremoses",
    "scvi": "scvi-tools",
    "segmentation_models_pytorch": "segmentation-models-pytorch",
    "serial": "pyserial",
    "skbio": "scikit-bio",
    "skfuzzy": "scikit-fuzzy",
    "sklego": "scikit-lego",
    "skmisc": "scikit-misc",
    "skmultilearn": "scikit-multilearn",
    "sksparse": "scikit-sparse",
    "sksurv": "scikit-survival",
    "speech_recognition": "speechrecognition",
    "stan": "pystan",
    "tabula": "tabula-py",
    "talib": "ta-lib",
    "telegram": "python-telegram-bot",
    "ultralytics": "ultralytics",
    "umap": "umap-learn",
    "unsloth": "unsloth",
    "usb": "pyusb",
    "vllm": "vllm",
    "whisper": "openai-whisper",
}
"""Modules that no shipped image has, and whose distribution is known; with a space between them, several that are not
builds of one thing."""

_VARIANT = re.compile(r"^python-|(?:-(?:cpu|gpu|pypi|binary|wheels?|headless|nightly|(?:cu|cuda)[0-9][0-9a-z]*))+$")
"""What a distribution's name has more than its module's where it is one of several builds: ``onnxruntime-gpu``."""

_FOLDERS = 3
"""Folders of sys.path that are named for one module."""


def settle(harvest: Harvest, images: Sequence[BaseImage]) -> None:
    """Hold what was found against the images (none for a kernel without one), and look at the imports.

    What every image has leaves the entries; what an image has in another version opens its name by ``replace``.
    """
    constrain(harvest)
    for name, lines in list(harvest.no_deps.items()):
        if not harvest.asks.get(name, lines) <= lines:  # pip brings them with the other line
            del harvest.no_deps[name]
    _requests(harvest, images)
    _imports(harvest, images)
    files = {name: number for number, name in enumerate(harvest.code)}
    harvest.findings.sort(key=lambda finding: (files.get(finding.place.file, -1), finding.place))


def constrain(harvest: Harvest) -> None:
    """Add each constraint to the requirement that it constrains."""
    for limit, line in harvest.constraints:
        name = canonicalize_name(limit.name)
        touched = [(key, package(harvest.packages[key])) for key in harvest.keys_of(name)]
        for key, held in touched:
            if held.requirement is None or held.requirement.url is not None:
                continue
            if limit.marker is not None and held.requirement.marker != limit.marker:
                write = f'write "{name}{limit.specifier}" into an entry of {name} with that marker'
                harvest.left(line, "a constraint that counts in some kernels only", write)
                continue
            held.requirement.specifier &= limit.specifier
            harvest.packages[key] = hashes.joined(str(held.requirement), held.hashes)
            harvest.understood(line, f"packages {quoted(harvest.packages[key])}")
        if not touched:
            write = f"{typed('kpack', 'add', name + str(limit.specifier))} if it matters"
            harvest.left(line, f"nothing here asks for {name} by its name", write)
    harvest.constraints.clear()


def _requests(harvest: Harvest, images: Sequence[BaseImage]) -> None:
    verdicts = {key: _verdict(entry, images) for key, entry in harvest.packages.items()} if images else {}
    named: dict[str, list[tuple[bool, str]]] = {}
    for key, (there, held) in verdicts.items():
        named.setdefault(key.partition(";")[0], []).append((there, held))
        name = canonicalize_name(key.partition(";")[0])
        if there:
            del harvest.packages[key]
            harvest.no_deps.pop(name, None)
        elif held:
            harvest.replace[name] = None
    for entry in list(harvest.exclude):
        if images and all(entry in image.distributions for image in images):
            del harvest.exclude[entry]
    harvest.findings[:] = [
        _judged(finding, harvest, images, named)
        for finding in harvest.findings
        if not _is_no_deps(finding) or finding.package in harvest.no_deps
    ]


def _is_no_deps(finding: Finding) -> bool:
    return finding.entry.startswith("no-deps ")


def _verdict(entry: str, images: Sequence[BaseImage]) -> tuple[bool, str]:
    """Tell whether every image satisfies an entry of ``packages``, and which versions the images have of it."""
    requirement = package(entry).requirement
    if requirement is None:
        return False, ""
    name = canonicalize_name(requirement.name)
    found = [image.distributions.get(name) for image in images]
    versions = ", ".join(dict.fromkeys(str(one.version) for one in found if one is not None))
    fits = requirement.url is None and all(
        one is not None and requirement.specifier.contains(one.version, prereleases=True) for one in found
    )
    if requirement.extras and fits:
        return False, ""  # what the extra asks for may be missing
    return fits, versions


def _judged(
    finding: Finding, harvest: Harvest, images: Sequence[BaseImage], named: Mapping[str, Sequence[tuple[bool, str]]]
) -> Finding:
    name = finding.package
    if name is None or not images or _is_no_deps(finding):
        return finding
    if finding.entry.startswith("exclude"):
        if name in harvest.exclude:
            return finding
        if not all(name in image.distributions for image in images):
            return replace(finding, entry="", why="installed anew below")
        why = f"the image keeps {name}: kpack takes nothing out; `replace` brings another version"
        return replace(finding, verdict=Outcome.IN_IMAGE, entry="", why=why)
    if finding.verdict is Outcome.LEFT:
        there = all(name in image.distributions for image in images)
        return replace(finding, verdict=Outcome.IN_IMAGE, why=name, write="") if there else finding
    verdicts = named.get(name, ())
    there = bool(verdicts) and all(fits for fits, _ in verdicts)
    versions = verdicts[0][1] if verdicts else ""
    if there:
        why = f"{name} {versions}"
        write = f"kpack add {name} --replace {name}, for a newer one" if finding.upgrade else ""
        return replace(finding, verdict=Outcome.IN_IMAGE, entry="", why=why, write=write)
    if versions:
        why = "; ".join(filter(None, [finding.why, f"the image has {versions}"]))
        return replace(finding, entry=f"{finding.entry}, replace {quoted(name)}", why=why)
    return finding


def _imports(harvest: Harvest, images: Sequence[BaseImage]) -> None:
    """Look at every module that is imported: is it the image's, a package's, a file beside, or nobody's."""
    asked = {canonicalize_name(key.partition(";")[0]) for key in harvest.packages if "/" not in key}
    plain = {_VARIANT.sub("", name): name for name in asked}
    for module, found in harvest.imports.items():
        line = Line(found.place, found.said)
        if images and (module in _KAGGLES_OWN or all(_has(image, module) for image in images)):
            harvest.in_image(line, f"the module {module}")
            continue
        known = distributions_of(module, images)
        bringing = {canonicalize_name(name) for name in (*found.names, *known)}
        if bringing & asked or bringing & plain.keys():
            harvest.understood(line, "", f"{module}: of a package above")
        else:
            _missing(module, known, line, harvest, asked)


def _missing(module: str, known: Sequence[str], line: Line, harvest: Harvest, asked: set[NormalizedName]) -> None:
    if len(known) == 1:
        wanted = known[0]
        harvest.add(wanted, line, why=f"{module} is imported, and nothing else here brings it")
        asked.add(canonicalize_name(wanted))
        return
    why = f"nothing found here brings the module {module}"
    if harvest.search_path:
        told = [folder for folder in harvest.search_path if module in folder] or harvest.search_path
        why += f"; it may lie in {' or '.join(dict.fromkeys(told[:_FOLDERS]))}, which the code adds to sys.path"
    if known:
        write = f"one of these: {', '.join(f'kpack add {name}' for name in known)}"
    else:
        write = f"kpack add {canonicalize_name(module)}, if that is its name on the index; nothing for a file of yours"
    harvest.left(line, why, write)


def _has(image: BaseImage, module: str) -> bool:
    """Tell whether an image has a module; a distribution whose modules are not known has that of its own name."""
    return module in _tops(image) or canonicalize_name(module) in image.distributions


def _tops(image: BaseImage) -> dict[str, set[NormalizedName]]:
    found = _TOPS.get(image.fingerprint)
    if found is None:
        found = _TOPS[image.fingerprint] = {}
        for distribution in image.distributions.values():
            for top in distribution.top_level or ():
                found.setdefault(top.removesuffix(".py"), set()).add(distribution.name)
    return found


_TOPS: dict[str, dict[str, set[NormalizedName]]] = {}
"""By an image's fingerprint: the distributions of each of its modules."""


def distributions_of(module: str, images: Sequence[BaseImage] = ()) -> tuple[str, ...]:
    """Return the distributions that bring a top-level module, sorted: as the images know it, and the newest shipped."""
    found = {name for image in (*images, _newest()) for name in _tops(image).get(module, ())}
    return tuple(sorted(found)) or tuple(_ELSEWHERE.get(module, "").split())


@cache
def _newest() -> BaseImage:
    return base.load(next(info.name for info in base.shipped() if info.accelerator == "gpu"), Path())
