"""What the file takes for an address, the rooms that fetch take for one too."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kpack.environment import EnvironmentFileError, parse
from kpack.environment.checkpoints import is_repository
from kpack.hubs import hub_address, kaggle_address
from tests.environment.corpus import HEAD

PARTS = st.text("aB0._-@/%2F. ", max_size=12)
HUB = st.builds(
    "hf://{}{}/{}{}{}".format, st.sampled_from(["", "datasets/"]), PARTS, PARTS, st.sampled_from(["", "@"]), PARTS
)
KAGGLE = st.builds(
    "kaggle://{}/{}/{}{}".format,
    st.sampled_from(["datasets", "models"]),
    PARTS,
    PARTS,
    st.sampled_from(["", "/a/b", "/a/b@2/x", "@3", "@3/", "@3/x", "/../x"]),
)
GOOD_HUB = st.from_regex(
    r"hf://(datasets/)?[a-z]{1,4}/[a-z][a-z.-]{0,3}(@[a-z0-9]{1,4})?(/[a-z]{1,3}){0,2}/?", fullmatch=True
)
GOOD_KAGGLE = st.from_regex(
    r"kaggle://(datasets/[a-z]/[a-z]|models/a/b/c/d)(@[1-9])?(/[a-z]{1,3}){0,2}/?", fullmatch=True
)


def accepted(url: str) -> bool:
    try:
        parse(HEAD + f"[[checkpoints]]\nurl = '{url}'\npath = 'x'\n", Path("kaggle-env.toml"))
    except EnvironmentFileError:
        return False
    return True


@given(st.one_of(HUB, GOOD_HUB))
def test_a_hub_address_of_the_file_is_one_to_the_fetcher(url: str) -> None:
    if accepted(url):
        assert hub_address(url).is_file is not is_repository(url)


@given(st.one_of(KAGGLE, GOOD_KAGGLE))
def test_a_kaggle_address_of_the_file_is_one_to_the_fetcher(url: str) -> None:
    if accepted(url):
        assert kaggle_address(url).is_file is not is_repository(url)


@given(st.one_of(GOOD_HUB, GOOD_KAGGLE))
def test_good_addresses_are_accepted(url: str) -> None:
    assert accepted(url)
