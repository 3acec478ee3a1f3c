"""What `kpack init` repeats of a line holds none of its secrets."""

from __future__ import annotations

import pytest

from kpack.importing.credentials import hidden

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "line",
    [
        "!wget --header 'Authorization: Bearer {}' https://h/x -O x",
        "!curl -H 'X-Token: {}' -o y https://h/y",
        "!curl -H 'Cookie: session={}; a={}' https://h/y",
        "!curl -u bob:{} -o y https://h/y",
        "!curl -ubob:{} https://h/y",
        "!wget --password={} --user=u https://h/w",
        '!aria2c --http-passwd "{}" https://h/w',
        "!kaggle datasets download a/b --key {}",
        "%env KAGGLE_KEY={}",
        "!export WANDB_API_KEY={}; pip install foo",
        "!pip install https://u:{}@h/x",
        "snapshot_download('o/r', token='{}')",
        "os.environ['HF_TOKEN'] = '{}'",
        "wandb.login(key='{}')",
        "requests.get(u, auth=('bob', '{}'))",
        "requests.get(u, headers={{'Authorization': 'Bearer {}'}})",
    ],
)
def test_a_secret_is_not_repeated(line: str) -> None:
    said = hidden(line.format(SECRET, SECRET))
    assert SECRET not in said
    assert "***" in said


@pytest.mark.parametrize(
    "token", ["hf_abcdefghijklmnop", "ghp_abcdefghijklmnop", "github_pat_11ABCDEFGHIJKL", "KGAT_0123456789abcd"]
)
def test_a_token_is_known_by_its_looks(token: str) -> None:
    assert token[-10:] not in hidden(f"login('{token}')")


@pytest.mark.parametrize(
    "line",
    [
        "!wget --no-cookies https://h/x",
        "AutoTokenizer.from_pretrained('x', tokenizer='bert')",
        "d.sort(key=lambda x: x)",
        "!pip install -U foo keyring tokenizers==1.0",
        "login(token=user_secrets.get_secret('HF'))",
        "!HF_TOKEN=$HF_TOKEN python x",
        "!curl -L -o x https://h/x?a=b:c",
        "key: value",
        "from huggingface_hub import hf_hub_download, snapshot_download",
        "!pip install pypi-attestations",
    ],
)
def test_what_is_none_stays(line: str) -> None:
    assert hidden(line) == line
