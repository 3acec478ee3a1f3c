from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from kpack.environment import parse
from kpack.environment.edit import set_base
from kpack.environment.edit_checkpoints import add_checkpoint, remove_checkpoint
from kpack.environment.edit_packages import add_packages, remove_packages
from kpack.errors import UsageError
from tests.environment.corpus import CHECKPOINT, DIGEST, HEAD
from tests.environment.models import Writer, documents
from tests.support.long import examples

FILE = Path("kaggle-env.toml")
WRITTEN = """\
# the whole file
name = "demo"  # a name

base = "kaggle-gpu-py312-2026-08"
packages = [
  # first group
  "lightning>=2",  # trains
  "sentencepiece", # reads

  # second group
  "./fork"  # ours
]

[publish]  # where it goes
dataset = "me/demo"
"""


def test_a_new_package_stands_at_the_end_and_all_else_stays() -> None:
    edit = add_packages(WRITTEN, FILE, ["timm>=1"])
    assert edit.text == WRITTEN.replace('"./fork"  # ours', '"./fork",  # ours\n  "timm>=1"')
    assert (edit.added, edit.changed, edit.unchanged) == (["timm>=1"], [], [])


def test_a_name_that_is_there_takes_the_new_words_in_its_place() -> None:
    edit = add_packages(WRITTEN, FILE, ["Lightning>=2.5"])
    assert edit.text == WRITTEN.replace("lightning>=2", "Lightning>=2.5")
    assert edit.changed == [("lightning>=2", "Lightning>=2.5")]


@pytest.mark.parametrize("entry", ["lightning", "sentencepiece", "./fork/", "lightning>=2"])
def test_what_is_there_already_is_left_alone(entry: str) -> None:
    edit = add_packages(WRITTEN, FILE, [entry])
    assert edit.text == WRITTEN
    assert edit.unchanged == [entry]


def test_a_package_for_another_marker_stands_beside_the_first() -> None:
    text = HEAD + "packages = [\"a>=1; python_version < '3.13'\"]\n"
    edit = add_packages(text, FILE, ["a>=2; python_version >= '3.13'"])
    assert len(parse(edit.text, FILE).packages) == 2
    with pytest.raises(UsageError, match="would take the place of"):
        add_packages(edit.text, FILE, ["a>=3"])
    assert remove_packages(edit.text, FILE, ["A"]).text == HEAD + "packages = []\n"


def test_a_file_without_packages_gets_them_above_the_tables() -> None:
    edit = add_packages(HEAD + CHECKPOINT, FILE, ["a", "b"])
    assert [package.text for package in parse(edit.text, FILE).packages] == ["a", "b"]
    assert edit.text.endswith(CHECKPOINT)


def test_a_removed_package_takes_only_its_own_comment_with_it() -> None:
    edit = remove_packages(WRITTEN, FILE, ["SentencePiece"])
    assert edit.text == WRITTEN.replace('  "sentencepiece", # reads\n', "")
    assert edit.removed == ["sentencepiece"]
    assert remove_packages(WRITTEN, FILE, ["./fork"]).removed == ["./fork"]


def test_a_name_that_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(UsageError, match='"sentencepeice" is not in packages') as caught:
        remove_packages(WRITTEN, FILE, ["sentencepeice"])
    assert caught.value.next == 'did you mean "sentencepiece"?'
    with pytest.raises(UsageError) as caught:
        remove_packages(HEAD + CHECKPOINT, FILE, ["x.ckpt"])
    assert "kpack remove --checkpoint x.ckpt" in caught.value.next


@pytest.mark.parametrize("entry", ["numpy=1", "https://host/x.zip", "-r x", "a b"])
def test_words_that_are_no_requirement_are_refused(entry: str) -> None:
    with pytest.raises(UsageError, match="is not a requirement"):
        add_packages(WRITTEN, FILE, [entry])


def test_a_file_with_mistakes_is_not_edited() -> None:
    with pytest.raises(UsageError, match="unknown key"):
        add_packages(WRITTEN + "nmae = 1\n", FILE, ["a"])


def test_windows_line_ends_stay() -> None:
    text = add_packages(WRITTEN.replace("\n", "\r\n"), FILE, ["timm"]).text
    assert text.count("\n") == text.count("\r\n") == WRITTEN.count("\n") + 1


def test_a_checkpoint_is_added_with_a_path_of_its_own() -> None:
    edit = add_checkpoint(WRITTEN, FILE, "https://host/a/model.ckpt?download=1", sha256=DIGEST)
    assert edit.text.startswith(WRITTEN)
    (checkpoint,) = parse(edit.text, FILE).checkpoints
    assert (checkpoint.path, checkpoint.sha256) == ("checkpoints/model.ckpt", DIGEST)
    again = add_checkpoint(edit.text, FILE, "https://host/a/model.ckpt?download=1")
    assert (again.text, again.added, again.unchanged) == (edit.text, [], list(checkpoint.urls))


def test_a_checkpoint_that_is_there_takes_the_new_digest() -> None:
    edit = add_checkpoint(HEAD + CHECKPOINT, FILE, "https://host/x.ckpt", sha256="0" * 64, lands="x.ckpt")
    assert edit.text == HEAD + CHECKPOINT.replace(DIGEST, "0" * 64)
    assert edit.changed


def test_a_repository_needs_no_path() -> None:
    edit = add_checkpoint(HEAD, FILE, "hf://org/repo@main")
    assert parse(edit.text, FILE).checkpoints[0].path is None


def test_a_checkpoint_joins_tables_written_inline() -> None:
    text = HEAD + 'checkpoints = [\n  { url = "https://h/a", path = "a" }, # one\n]\n'
    edit = add_checkpoint(text, FILE, "https://h/b", lands="b")
    assert [one.path for one in parse(edit.text, FILE).checkpoints] == ["a", "b"]
    assert "# one" in edit.text
    assert parse(remove_checkpoint(edit.text, FILE, "a").text, FILE).checkpoints[0].path == "b"


def test_a_bad_checkpoint_is_not_added() -> None:
    with pytest.raises(UsageError, match="not a SHA-256"):
        add_checkpoint(HEAD, FILE, "https://h/x", sha256="0")
    with pytest.raises(UsageError, match="is the same path"):
        add_checkpoint(HEAD + CHECKPOINT, FILE, "https://other/x", lands="x.ckpt")


@pytest.mark.parametrize("which", ["b.ckpt", "./b.ckpt", "https://h/b"])
def test_a_removed_checkpoint_leaves_the_comments_of_its_neighbours(which: str) -> None:
    one = '# about a\n[[checkpoints]]  # first\nurl = "https://h/a"\npath = "a.ckpt"\n\n'
    two = '[[checkpoints]]\nurls = [\n  "https://h/b", # mirror\n]\npath = "b.ckpt"\n\n'
    three = '# about c\n[[checkpoints]]\nurl = "https://h/c"\npath = "c.ckpt"\n'
    assert remove_checkpoint(HEAD + one + two + three, FILE, which).text == HEAD + one + three
    assert remove_checkpoint(HEAD + one + two, FILE, which).text == HEAD + one


def test_a_checkpoint_that_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(UsageError, match="there is no checkpoint") as caught:
        remove_checkpoint(HEAD + CHECKPOINT, FILE, "y")
    assert caught.value.next == 'known: "x.ckpt"'
    with pytest.raises(UsageError) as caught:
        remove_checkpoint(HEAD, FILE, "y")
    assert caught.value.next == "the file has none: kpack add --checkpoint URL"
    with pytest.raises(UsageError, match=r'there is no checkpoint "\.\./x\.ckpt"'):
        remove_checkpoint(HEAD + CHECKPOINT, FILE, "../x.ckpt")


def test_a_file_that_the_editor_cannot_read_is_left_to_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise tomlkit.exceptions.TOMLKitError("no")

    monkeypatch.setattr(tomlkit, "parse", refuse)
    with pytest.raises(UsageError, match="written in a way that kpack cannot edit"):
        add_checkpoint(f'{HEAD}checkpoints = [{{url = "https://h/a", path = "a"}}]\n', FILE, "https://h/new.ckpt")


def test_an_edit_that_came_out_otherwise_is_not_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tomlkit, "parse", lambda _: tomlkit.loads(HEAD))
    with pytest.raises(UsageError, match="written in a way that kpack cannot edit"):
        add_checkpoint(f'{HEAD}checkpoints = [{{url = "https://h/a", path = "a"}}]\n', FILE, "https://h/new.ckpt")


def comments(text: str) -> list[str]:
    return re.findall(r"# (?:\[a\] = \"x\"|a word = \[|open)", text)


@settings(max_examples=examples(100))
@given(documents(), st.randoms())
def test_added_and_removed_packages_leave_the_file_as_it_was(data: dict[str, Any], random: Any) -> None:
    text = Writer(random).write(data)
    added = add_packages(text, FILE, ["kpack-added>=1", "./kpack-added"])
    assert added.added == ["kpack-added>=1", "./kpack-added"]
    written = tomllib.loads(added.text)
    assert written.pop("packages") == [*data.get("packages", []), "kpack-added>=1", "./kpack-added"]
    assert written == {key: value for key, value in data.items() if key != "packages"}
    assert comments(added.text) == comments(text)
    removed = remove_packages(added.text, FILE, ["KPack_added", "./kpack-added"])
    assert tomllib.loads(removed.text) == {"packages": [], **data}
    assert comments(removed.text) == comments(text)


@settings(max_examples=examples(100))
@given(documents(needs="packages"), st.randoms(), st.data())
def test_a_removed_package_loses_no_comment_but_its_own(data: dict[str, Any], random: Any, draw: st.DataObject) -> None:
    text = Writer(random).write(data)
    place = draw.draw(st.integers(0, len(data["packages"]) - 1))
    entry = parse(text, FILE).packages[place]
    removed = remove_packages(text, FILE, [entry.path or (entry.requirement.name if entry.requirement else "")])
    left = [item for number, item in enumerate(data["packages"]) if number != place]
    assert tomllib.loads(removed.text) == {**data, "packages": left}
    assert len(comments(text)) - 1 <= len(comments(removed.text)) <= len(comments(text))


@settings(max_examples=examples(100))
@given(documents(needs="checkpoints"), st.randoms(), st.data())
def test_a_removed_checkpoint_leaves_all_else(data: dict[str, Any], random: Any, draw: st.DataObject) -> None:
    text = Writer(random).write(data)
    place = draw.draw(st.integers(0, len(data["checkpoints"]) - 1))
    removed = remove_checkpoint(text, FILE, data["checkpoints"][place]["path"])
    left = [item for number, item in enumerate(data["checkpoints"]) if number != place]
    found = tomllib.loads(removed.text)
    assert found.pop("checkpoints", []) == left
    assert found == {key: value for key, value in data.items() if key != "checkpoints"}


@settings(max_examples=examples(100))
@given(documents(), st.randoms())
def test_an_added_checkpoint_leaves_all_else(data: dict[str, Any], random: Any) -> None:
    text = Writer(random).write(data)
    added = add_checkpoint(text, FILE, "https://fresh/kpack-new.ckpt", sha256=DIGEST)
    table = {"url": "https://fresh/kpack-new.ckpt", "sha256": DIGEST, "path": "checkpoints/kpack-new.ckpt"}
    assert tomllib.loads(added.text) == {**data, "checkpoints": [*data.get("checkpoints", []), table]}
    assert comments(added.text) == comments(text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('name = "t"\nbase = "a"  # why\n# end\n', 'name = "t"\nbase = "./b.json"  # why\n# end\n'),
        ('name = "t"\nbase = ["a", "c"]\npackages = []\n', 'name = "t"\nbase = "./b.json"\npackages = []\n'),
        (
            'name = "t"\n# the kernel\npython = \'3.12\'  # as on Kaggle\nplatform = "manylinux_2_28_x86_64"\n',
            'name = "t"\n# the kernel\nbase = "./b.json"  # as on Kaggle\n',
        ),
        ('name = "t"\r\nbase = "a"\r\n', 'name = "t"\r\nbase = "./b.json"\r\n'),
    ],
)
def test_a_new_base_takes_the_place_of_what_named_the_kernel(before: str, after: str, tmp_path: Path) -> None:
    path = tmp_path / "kaggle-env.toml"
    assert set_base(before, path, "./b.json").text == after
    assert set_base(after, path, "./b.json").unchanged == ["./b.json"]
