"""A pack as a software bill of materials: CycloneDX 1.6, JSON (``pip install "kaggle-kpack[sbom]"``)."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from kpack import __version__
from kpack.errors import UsageError, installing

if TYPE_CHECKING:
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import License as NamedLicense

    from kpack.inventory import Distribution, Holdings, ModelFile, SystemFile
    from kpack.licenses import License


def bill_of_materials(inventory: Holdings) -> str:
    """Return the document; it depends on the pack alone, so that the same pack gives the same text.

    Raises:
        UsageError: the library that writes it is not installed.

    """
    try:
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output.json import JsonV1Dot6
    except ImportError as error:
        raise UsageError(
            "a CycloneDX document is written by cyclonedx-python-lib, which is not installed",
            next=installing("sbom"),
        ) from error
    whole = Component(
        name=inventory.name, version=inventory.id[:12], type=ComponentType.APPLICATION, bom_ref=f"pack:{inventory.id}"
    )
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"kpack:{inventory.id}"))
    bom.metadata.component = whole
    bom.metadata.tools.components.add(Component(name="kpack", version=__version__, type=ComponentType.APPLICATION))
    packages = {item.wheel: _package(item) for item in inventory.distributions}
    files = [_file(item) for item in inventory.model_files]
    system = [_system(item) for item in inventory.system]
    for component in (*packages.values(), *system, *files):
        bom.components.add(component)
    by_name: dict[str, list[Component]] = {}
    for item in inventory.distributions:
        by_name.setdefault(item.name, []).append(packages[item.wheel])
    top = [
        packages[item.wheel]
        for item in inventory.distributions
        if item.requested or by_name.keys().isdisjoint(item.needed_by)
    ]
    bom.register_dependency(whole, [*top, *system, *files])
    for name, components in by_name.items():
        wanted = [packages[item.wheel] for item in inventory.distributions if name in item.needed_by]
        for component in components:
            bom.register_dependency(component, wanted)
    data = json.loads(JsonV1Dot6(bom).output_as_string())
    del data["metadata"]["timestamp"]  # optional, and the one thing in it that is not the pack's
    return json.dumps(data, indent=2) + "\n"  # ASCII: a name may hold what a terminal obeys


def _package(item: Distribution) -> Component:
    from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
    from cyclonedx.model.component import Component, ComponentScope, ComponentType
    from packageurl import PackageURL

    references = []
    if item.url is not None:
        references.append(ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(item.url)))
    if item.source is not None:
        kind = ExternalReferenceType.VCS if item.source.kind == "vcs" else ExternalReferenceType.SOURCE_DISTRIBUTION
        references.append(ExternalReference(type=kind, url=XsUri(item.source.url)))
    return Component(
        name=item.name,
        version=item.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"wheel:{item.wheel}",
        purl=PackageURL("pypi", None, item.name, item.version, {"file_name": item.wheel}),
        description=item.summary or None,
        scope=ComponentScope.REQUIRED if item.targets else ComponentScope.OPTIONAL,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=item.sha256)],
        licenses=_licenses(item.license),
        external_references=references,
        properties=[*(_property("target", target) for target in item.targets), _property("size", str(item.size))],
    )


def _system(item: SystemFile) -> Component:
    from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
    from cyclonedx.model.component import Component, ComponentType

    return Component(
        name=item.name,
        version=item.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"deb:{item.name}_{item.version}_{item.architecture}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=item.sha256)],
        external_references=[
            ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(url)) for url in [item.url] if url
        ],
        properties=[
            _property("architecture", item.architecture),
            *(_property("target", target) for target in item.targets),
            _property("size", str(item.size)),
        ],
    )


def _file(item: ModelFile) -> Component:
    from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
    from cyclonedx.model.component import Component, ComponentType

    return Component(
        name=item.path,
        type=ComponentType.FILE,
        bom_ref=f"file:{item.path}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=item.sha256)],
        licenses=_licenses(item.license),
        external_references=[
            ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(url))
            for url in item.urls
            if not url.startswith("data:")
        ],
        properties=[
            _property("size", str(item.size)),
            *([_property("attached", "true")] if item.attached else []),
        ],
    )


def _property(name: str, value: str) -> Property:
    from cyclonedx.model import Property

    return Property(name=f"kpack:{name}", value=value)


def _licenses(license_: License) -> list[NamedLicense]:
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression

    if license_.expression:
        return [LicenseExpression(license_.expression)]
    return [DisjunctiveLicense(name=license_.said)] if license_.said else []
