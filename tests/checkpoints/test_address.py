"""Addresses are taken apart and put together without loss."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpack.checkpoints.address import digest_in_name
from kpack.environment.checkpoints import is_repository
from kpack.errors import UsageError
from kpack.hubs import HubAddress, KaggleAddress, hub_address, kaggle_address

NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)
PATH = st.lists(
    st.text(st.characters(exclude_characters="/", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(
        lambda part: part not in {".", ".."}
    ),
    max_size=3,
).map("/".join)
REVISION = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda text: not {"", ".", ".."} & set(text.split("/"))  # no branch or tag of git is such
)


@given(
    kind=st.sampled_from(["model", "dataset", "space"]),
    org=NAME.filter(lambda name: name not in {"datasets", "spaces"}),
    repo=NAME,
    revision=REVISION,
    path=PATH,
    asked=st.none() | REVISION,
)
def test_hub_address_survives_the_way_through_a_lock(
    kind: str, org: str, repo: str, revision: str, path: str, asked: str | None
) -> None:
    address = HubAddress(kind=kind, repo=f"{org}/{repo}", revision=revision, path=path, asked=asked)  # type: ignore[arg-type]
    assert hub_address(str(address)) == address


@given(
    handle=st.tuples(NAME, NAME).map(lambda parts: "datasets/" + "/".join(parts))
    | st.tuples(NAME, NAME, NAME, NAME).map(lambda parts: "models/" + "/".join(parts)),
    version=st.none() | st.integers(1, 10**6),
    path=PATH,
    asked=st.none() | st.just("newest"),
)
def test_kaggle_address_survives_the_way_through_a_lock(
    handle: str, version: int | None, path: str, asked: str | None
) -> None:
    address = KaggleAddress(handle=handle, version=version, path=path, asked=asked)
    assert kaggle_address(str(address)) == address


@given(st.text())
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    for read, scheme in ((hub_address, "hf://"), (kaggle_address, "kaggle://")):
        for url in (text, scheme + text):
            try:
                address = read(url)
            except UsageError:
                continue
            assert ".." not in address.path.split("/")
            assert not address.path.startswith("/")


@pytest.mark.parametrize(
    "url",
    ["hf://o/r", "hf://o/r@v1", "hf://o/r/a.bin", "hf://o/r/sub/", "hf://datasets/o/r@x/sub/a.bin", "hf://spaces/o/r"],
)
def test_one_file_or_many_is_told_as_in_kaggle_env_toml(url: str) -> None:
    assert hub_address(url).is_file is not is_repository(url)


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("toxic_original-c1212f89.ckpt", "c1212f89"),
        ("resnet50-0676ba61.pth", "0676ba61"),
        ("x-" + "ab" * 32 + ".pt", "ab" * 32),
        ("model-20240101.ckpt", None),
        ("model-abc.ckpt", None),
        ("model-C1212F89.ckpt", None),
        ("c1212f89.ckpt", None),
        ("model-c1212f89", None),
        ("model-c1212f89/file.ckpt", None),
    ],
)
def test_digest_in_a_name_follows_torch_hub(name: str, digest: str | None) -> None:
    assert digest_in_name(f"https://host/{name}?x=-deadbeef.ckpt") == digest
