"""Files that are right, and files that are wrong in one way each."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = 'name = "demo"\nbase = "kaggle-gpu-py312-2026-08"\n'
DIGEST = "c1212f89" * 8
CHECKPOINT = f'[[checkpoints]]\nurl = "https://host/x.ckpt"\nsha256 = "{DIGEST}"\npath = "x.ckpt"\n'
INDEX = '[[indexes]]\nname = "corp"\nurl = "https://host/simple"\npackages = ["corp-*"]\n'

VALID = {
    "smallest": HEAD,
    "no_base": 'name = "demo"\npython = "3.8"\n',
    "platform": 'name = "demo"\npython = "3.12"\nplatform = "manylinux_2_28_x86_64"\n',
    "names_like_files": HEAD + 'packages = ["ruamel.yaml", "web.py", "flask-robots.txt", "pip-requirements-parser"]\n',
    "several_bases": 'name = "demo"\nbase = ["kaggle-cpu-py312-2026-08", "./kaggle.json"]\n',
    "longest_name": f'name = "{"a" * 40}"\npython = "3.13"\n',
    "requirements": HEAD
    + """packages = [
  "lightning-flash[text]>=0.8",
  "Rank_BM25 ~= 0.2",
  "fork[x] @ https://host/archive/x.zip#sha256="""
    + DIGEST
    + """",
  "gitty @ git+https://host/r.git@v1 ; python_version < '3.13'",
  "./fork", "../wheels/x-1.0-py3-none-any.whl",
  "split>=1; python_version<'3.13'", "split>=2; python_version>='3.13'",
]\n""",
    "exclude": HEAD + 'exclude = ["torch-xla", "nvidia-*", "torch==2.10.0+cu128", "Jax.Lib"]\n',
    "names": HEAD
    + 'replace = ["tokenizers"]\nallow-source = ["a"]\nallow-broken = ["b"]\n'
    + 'allow-preloaded = ["numpy"]\nlax-record = ["c"]\n',
    "hashes": HEAD
    + f'packages = ["a==1 --hash=sha256:{DIGEST}  --hash sha256:{DIGEST.upper()}", "./x.whl --hash=sha256:{DIGEST}",'
    + f' "b @ https://h/b.zip#egg=b&sha256={DIGEST}", "./fork[One, two_x]", ".[dev]"]\n',
    "no_deps": HEAD + 'no-deps = ["Odd_Name"]\n',
    "substitute": HEAD + '[substitute]\nOpenCV_Python_Headless = "opencv-python"\n"b.c" = "d"\n',
    "lax_archive": HEAD + 'lax-archive = ["Odd_Name"]\n',
    "allow_native": HEAD + 'allow-native = ["CuPy.cuda13x"]\n',
    "accelerator": HEAD + 'accelerator = "T4"\n',
    "licenses": HEAD + '[licenses]\nallow = ["MIT", "apache-2.0 or bsd-3-clause"]\nunchecked = ["Odd_Name"]\n',
    "apt": HEAD
    + 'apt = ["ffmpeg", "libstdc++6", "tesseract-ocr-deu=1:4.1.0-2~x+b1"]\n'
    + '[restore]\napt = "prefix"\n'
    + '[[apt-sources]]\nurl = "https://me:${TOKEN}@host/debian"\nsuites = ["jammy", "jammy-updates"]\n'
    + '[[apt-sources]]\nurl = "file:/srv/debs"\nsuites = ["./"]\nsigned-by = "nobody"\n'
    + '[[apt-sources]]\nurl = "http://host/u"\nsuites = ["x"]\ncomponents = ["main", "b"]\nsigned-by = "./k.asc"\n',
    "no_build_isolation": HEAD + 'no-build-isolation = ["Flash_Attn"]\n',
    "day": HEAD + "exclude-newer = 2026-11-01\n",
    "moment": HEAD + "exclude-newer = 2026-11-01T12:30:00+02:00\n",
    "size_in_words": HEAD + 'max-size = "1.5 GB"\n',
    "size_in_bytes": HEAD + "max-size = 1000000\n",
    "checkpoint": HEAD + CHECKPOINT,
    "mirrors": HEAD + '[[checkpoints]]\nurls = ["https://a/x", "http://b/x", "file:///c/x", "file:x"]\npath = "~/x"\n',
    "hf_repository": HEAD + '[[checkpoints]]\nurl = "hf://org/repo@main"\ninclude = ["*.json"]\n',
    "hf_file": HEAD + '[[checkpoints]]\nurl = "hf://org/repo@0123abc/sub/model.safetensors"\npath = "/kaggle/tmp/m"\n',
    "kaggle_dataset": HEAD + '[[checkpoints]]\nurl = "kaggle://datasets/owner/slug@3"\npath = "weights/"\n',
    "kaggle_model": HEAD
    + '[[checkpoints]]\nurl = "kaggle://models/google/gemma/pyTorch/2b@1/model.ckpt"\npath = "m.ckpt"\n',
    "attached": HEAD + CHECKPOINT + 'attached = "/kaggle/input/datasets/me/weights/x.ckpt"\n',
    "attached_anywhere": HEAD + CHECKPOINT + "attached = true\n",
    "indexes of other shapes": HEAD
    + '[[indexes]]\nname = "here"\nurl = "./wheels"\n'
    + '[[indexes]]\nname = "there"\nurl = "file:///data/whl"\npackages = ["a-*"]\n'
    + '[[indexes]]\nname = "pyg"\nurl = "https://host/whl/torch-2.10.0+cu128.html"\npackages = ["torch-scatter"]\n'
    + '[[indexes]]\nname = "flat"\nurl = "https://host/whl"\npackages = ["mmcv"]\nformat = "links"\n',
    "indexes": HEAD + INDEX + INDEX.replace("corp", "team").replace("https://", "https://me:${TOKEN}@"),
    "restore_link": HEAD + "[restore]\nlink = true\n",
    "restore": HEAD + '[restore]\ndirectory = "/kaggle/tmp"\nenv = { HF_HUB_OFFLINE = "1", EMPTY = "" }\n',
    "publish": HEAD + '[publish]\ndataset = "me_2/toxic-comments-env"\n',
}


@dataclass(frozen=True)
class Wrong:
    """A file with one mistake."""

    text: str
    line: int
    key: str
    what: str
    next: str = ""
    schema: bool = True
    """Whether a JSON Schema can see it."""


def after(text: str, **facts: object) -> Wrong:
    """A mistake in what stands below the head, on the first line there unless ``line`` counts further (from 0)."""
    line = facts.pop("line", 0)
    assert isinstance(line, int)
    return Wrong(text=HEAD + text, line=3 + line, **facts)  # type: ignore[arg-type]


def checkpoint(
    line: str, key: str, what: str, advice: str = "", *, schema: bool = True, path: str = 'path = "x"'
) -> Wrong:
    """A mistake in the second line of a checkpoint table."""
    text = f"[[checkpoints]]\n{line}\n{path}\n"
    return after(text, line=1 if key else 0, key=f"checkpoints[0]{key}", what=what, next=advice, schema=schema)


WRONG = {
    "no_name": Wrong('python = "3.12"\n', 1, "", 'the key "name" is missing', "name of the pack"),
    "name_with_space": Wrong(
        'python = "3.12"\nname = "a b"\n', 2, "name", '"a b" is not right here', "letters, digits"
    ),
    "name_too_long": Wrong(f'python = "3.12"\nname = "{"a" * 41}"\n', 2, "name", "has 41 characters, 40 are allowed"),
    "name_is_hidden": Wrong('python = "3.12"\nname = ".x"\n', 2, "name", "is not right here"),
    "name_is_number": Wrong('python = "3.12"\nname = 3\n', 2, "name", "must be a string, is an integer (3)", '"3"'),
    "name_is_empty": Wrong('python = "3.12"\nname = ""\n', 2, "name", "must not be empty"),
    "no_kernel": Wrong('name = "x"\n', 1, "", "nothing says which kernel", "kpack probe --list"),
    "python_is_float": Wrong(
        'name = "x"\npython = 3.12\n', 2, "python", "must be a string, is a float (3.12)", '"3.12"'
    ),
    "python_too_old": Wrong('name = "x"\npython = "3.7"\n', 2, "python", '"3.7" is not right', "3.8 or newer"),
    "python_with_patch": Wrong('name = "x"\npython = "3.12.3"\n', 2, "python", '"3.12.3" is not right'),
    "platform_unknown": Wrong(
        'name = "x"\npython = "3.12"\nplatform = "linux"\n',
        3,
        "platform",
        '"linux" is not right',
        "manylinux_2_35_x86_64",
    ),
    "python_and_base": after('python = "3.12"\n', key="python", what="python and base exclude each other"),
    "platform_and_base": after('platform = "manylinux_2_35_x86_64"\n', key="platform", what="exclude each other"),
    "empty_bases": Wrong('name = "x"\nbase = []\n', 2, "base", "must not be an empty array"),
    "base_twice": Wrong('name = "x"\nbase = [\n"a",\n"a"]\n', 4, "base[1]", "stands there twice", schema=False),
    "base_is_number": Wrong('name = "x"\nbase = 3\n', 2, "base", "a string or an array of strings, is an integer (3)"),
    "unknown_key": after(
        "pacakges = []\n", key="pacakges", what='unknown key "pacakges"', next='did you mean "packages"'
    ),
    "underscore_key": after("allow_source = []\n", key="allow_source", what="unknown key", next='"allow-source"'),
    "synonym": after("dependencies = []\n", key="dependencies", what="unknown key", next='did you mean "packages"'),
    "strange_key": after("zzz = 1\n", key="zzz", what="unknown key", next="known keys here: name, base"),
    "nested_key_at_top": after('sha256 = "x"\n', key="sha256", what="unknown key", next="[[checkpoints]]"),
    "top_key_in_table": after(
        CHECKPOINT + 'exclude = ["x"]\n', line=4, key="checkpoints[0].exclude", what="unknown", next="above the first"
    ),
    "packages_is_string": after(
        'packages = "numpy"\n', key="packages", what="must be an array of strings", next='["numpy"]'
    ),
    "package_is_number": after('packages = ["a", 1]\n', key="packages[1]", what="must be a string, is an integer"),
    "package_single_equals": after(
        'packages = ["numpy=1.2"]\n', key="packages[0]", what="is not a requirement", next='"numpy==1.2"', schema=False
    ),
    "package_caret": after(
        'packages = ["numpy^1.2"]\n',
        key="packages[0]",
        what="is not a requirement",
        next='"numpy>=1.2,<2"',
        schema=False,
    ),
    "package_marker_variable": after(
        'packages = [\'a; python_verson < "3.13" and os_nam == "nt"\']\n',
        key="packages[0]",
        what="is not a requirement",
        next='did you mean "a; python_version < \\"3.13\\" and os_name == \\"nt\\""?',
        schema=False,
    ),
    "package_list": after(
        'packages = ["requirements.txt"]\n',
        key="packages[0]",
        what='"requirements.txt" is the name of a file and not of a package',
        next="kpack add -r requirements.txt takes what a list has",
        schema=False,
    ),
    "package_dev_list": after(
        'packages = ["dev-requirements.txt"]\n',
        key="packages[0]",
        what="name of a file",
        next="-r dev-requirements.txt",
        schema=False,
    ),
    "package_notebook": after(
        'packages = ["nb.ipynb"]\n', key="packages[0]", what="name of a file", next="--from nb.ipynb", schema=False
    ),
    **{
        f"package_written_{number}": after(
            f"packages = ['{wrong}']\n",
            key="packages[0]",
            what=" is not a ",
            next=f"did you mean {right}",
            schema=False,
        )
        for number, (wrong, right) in enumerate(
            {
                "a@4.0": '"a==4.0"?',
                "a[x] @ v4": '"a[x]==4"?',
                "a@latest": '"a"?',
                "a==latest": '"a"?',
                "a:4.1": '"a==4.1"?',
                "a=>3,=<4": '"a>=3,<=4"?',
                "a~=4": '"a~=4.0"?',
                "a ~= 4, < 4.3": '"a~=4.0, < 4.3"?',
                "a==3.x": '"a==3.*"?',
                "a>=3.x": '"a>=3"?',
                "a; sys_platform == linux": r'"a; sys_platform == \"linux\""?',
                "a;python>=3.8": r'"a;python_version>=\"3.8\""?',
            }.items()
        )
    },
    "package_beyond_help": after(
        "packages = ['a !! 3']\n", key="packages[0]", what="is not a requirement", next="write it like", schema=False
    ),
    "package_backslash": after(
        "packages = ['.\\fork']\n", key="packages[0]", what="is not a requirement", next='"./fork"', schema=False
    ),
    "package_option": after(
        'packages = ["-r x.txt"]\n', key="packages[0]", what="not a requirement", next="options of pip", schema=False
    ),
    "package_bare_url": after(
        'packages = ["https://u:secret@host/x.zip"]\n',
        key="packages[0]",
        what='"https://***@host/x.zip" is not a requirement',
        next="name @ https://",
        schema=False,
    ),
    "package_bare_url_with_egg": after(
        'packages = ["git+https://host/o/Fork.git@v1#egg=fork[x]&subdirectory=py"]\n',
        key="packages[0]",
        what="is not a requirement",
        next='write "fork[x] @ git+https://host/o/Fork.git@v1#subdirectory=py"',
        schema=False,
    ),
    "package_bare_repository": after(
        'packages = ["git+https://host/o/Fork.git@v1"]\n',
        key="packages[0]",
        what="is not a requirement",
        next='name @ git+https://…; did you mean "Fork @ git+https://host/o/Fork.git@v1"?',
        schema=False,
    ),
    "package_bare_url_without_a_host": after(
        'packages = ["git+https://u:secret@[h/x.zip"]\n',
        key="packages[0]",
        what="is not a requirement",
        next="name @ git+https://…",
        schema=False,
    ),
    "package_bare_repository_with_secret": after(
        'packages = ["git+https://u:secret@host/o/fork.git#egg=fork"]\n',
        key="packages[0]",
        what="is not a requirement",
        next="name @ git+https://…",
        schema=False,
    ),
    "package_short_form_of_git": after(
        'packages = ["git@host.org:o/fork.git"]\n',
        key="packages[0]",
        what="is not a URL that kpack can fetch",
        next="name @ git+ssh://git@host.org/o/fork.git, the name most likely being fork",
        schema=False,
    ),
    "package_short_form_of_git_behind_a_name": after(
        'packages = ["fork @ git+ssh://git@host.org:o/fork.git"]\n',
        key="packages[0]",
        what="is not a URL that kpack can fetch",
        next="name @ git+ssh://git@host.org/o/fork.git",
        schema=False,
    ),
    "package_local_without_dot": after(
        'packages = ["fork/"]\n', key="packages[0]", what="not a requirement", next='"./fork/"', schema=False
    ),
    "package_home": after('packages = ["~/x"]\n', key="packages[0]", what="home folder", schema=False),
    "package_path_with_marker": after(
        "packages = [\"./x ; python_version < '3'\"]\n", key="packages[0]", what="more than a path", schema=False
    ),
    "package_hash_of_another_kind": after(
        'packages = ["x==1 --hash=md5:abc"]\n', key="packages[0]", what="is no SHA-256", schema=False
    ),
    "package_option_behind_hash": after(
        f'packages = ["x==1 --hash=sha256:{DIGEST} --pre"]\n',
        key="packages[0]",
        what="'--pre' stands behind its --hash",
        schema=False,
    ),
    "package_hash_beside_url": after(
        f'packages = ["x @ https://h/x.zip --hash=sha256:{DIGEST}"]\n',
        key="packages[0]",
        what="the digest of a URL stands in it",
        next="#sha256=",
        schema=False,
    ),
    "package_url_hash_short": after(
        'packages = ["x @ https://h/x.zip#egg=x&sha256=abc"]\n',
        key="packages[0]",
        what="'abc' is no SHA-256",
        schema=False,
    ),
    "package_revision_is_an_option": after(
        'packages = ["x @ git+https://h/x@-f"]\n',
        key="packages[0]",
        what='"-f" is not a revision of git',
        schema=False,
    ),
    "package_revision_of_control_characters": after(
        'packages = ["x @ git+https://h/x@%00#egg=x"]\n',
        key="packages[0]",
        what="is not a revision of git",
        schema=False,
    ),
    "package_revision_empty": after(
        'packages = ["x @ git+https://h/x@"]\n',
        key="packages[0]",
        what="is not a revision of git",
        schema=False,
    ),
    "package_url_hash_twice": after(
        f'packages = ["x @ https://h/x.zip#sha256={DIGEST}&sha256={"0" * 64}"]\n',
        key="packages[0]",
        what="two different ones stand in it",
        schema=False,
    ),
    "package_repository_hash": after(
        f'packages = ["x @ git+https://h/x@main#sha256={DIGEST}"]\n',
        key="packages[0]",
        what="a repository has no SHA-256",
        schema=False,
    ),
    "package_url_scheme": after(
        'packages = ["x @ ftp://host/x"]\n', key="packages[0]", what="not a URL that kpack can fetch", schema=False
    ),
    "package_wheel_of_another": after(
        'packages = ["x @ https://h/y-1.0-py3-none-any.whl"]\n',
        key="packages[0]",
        what='"x" is to come from a wheel of "y"',
        next="write y @",
        schema=False,
    ),
    "package_wheel_misnamed": after(
        'packages = ["x @ https://h/x.whl"]\n', key="packages[0]", what="is not the name of a wheel", schema=False
    ),
    "package_twice": after(
        'packages = ["numpy>1",\n"Num.py", "NumPy<2"]\n',
        line=1,
        key="packages[2]",
        what='"NumPy<2" asks for numpy again, packages[0] has "numpy>1"',
        schema=False,
    ),
    "path_twice": after('packages = ["./x", "./x/"]\n', key="packages[1]", what="stands at packages[0]", schema=False),
    "escape_in_package": after(
        'packages = ["a\\u001b[31m"]\n', key="packages[0]", what='"a\\u001b[31m" holds the control character U+001B'
    ),
    "exclude_range": after('exclude = ["torch>=2"]\n', key="exclude[0]", what="is not right here", next="a pin"),
    "exclude_everything": after('exclude = ["*"]\n', key="exclude[0]", what="is not right here"),
    "exclude_pinned_pattern": after(
        'exclude = ["nvidia-*==1"]\n', key="exclude[0]", what="pins a pattern", schema=False
    ),
    "exclude_wild_version": after('exclude = ["torch==2.*"]\n', key="exclude[0]", what="is not right here"),
    "exclude_bad_version": after(
        'exclude = ["torch==new"]\n', key="exclude[0]", what='"new" is not a version', schema=False
    ),
    "exclude_twice": after('exclude = ["Torch", "torch==1"]\n', key="exclude[1]", what="name the same", schema=False),
    "replace_with_version": after('replace = ["x>=1"]\n', key="replace[0]", what="is not right", next="name alone"),
    "replace_twice": after('replace = ["x_y", "X-Y"]\n', key="replace[1]", what="stands there twice", schema=False),
    "replace_and_exclude": after(
        'replace = ["nvidia-nccl"]\nexclude = ["nvidia-*"]\n', key="replace[0]", what="keeps it out", schema=False
    ),
    "replace_without_base": Wrong(
        'name = "x"\npython = "3.12"\nreplace = ["y"]\n', 3, "replace", "and there is none", "add base"
    ),
    "date_as_string": after(
        'exclude-newer = "last week"\n', key="exclude-newer", what='is a string ("last week")', next="without quotes"
    ),
    "date_as_time": after("exclude-newer = 10:00:00\n", key="exclude-newer", what="is a time (10:00:00)"),
    "date_at_the_end": after(
        "exclude-newer = 9999-12-31\n", key="exclude-newer", what="end of the calendar", schema=False
    ),
    "size_zero": after("max-size = 0\n", key="max-size", what="not a possible size"),
    "size_bool": after("max-size = true\n", key="max-size", what="must be an integer or a string, is a boolean (true)"),
    "size_unit": after('max-size = "10 gigs"\n', key="max-size", what="not a size", next='"10 GB"'),
    "size_nothing": after('max-size = "0.1 B"\n', key="max-size", what="is nothing", schema=False),
    "checkpoint_exclude": after(
        CHECKPOINT + 'exclude = ["*.bin"]\n',
        line=4,
        key="checkpoints[0].exclude",
        what="unknown",
        next="write include =",
    ),
    "checkpoint_ignore_patterns": after(
        CHECKPOINT + 'ignore_patterns = ["*.bin"]\n',
        line=4,
        key="checkpoints[0].ignore_patterns",
        what="unknown",
        next="to choose files",
    ),
    "checkpoint_url_with_spaces": checkpoint(
        'url = "hf://o/r/a b é.txt"', ".url", "has spaces", '"hf://o/r/a%20b%20é.txt"', path="", schema=False
    ),
    "checkpoint_page_of_the_hub": checkpoint(
        'url = "https://huggingface.co/o/r/blob/v1/m.pt"', ".url", "is a page", '"hf://o/r@v1/m.pt"', schema=False
    ),
    "checkpoint_page_of_a_repository": checkpoint(
        'url = "https://huggingface.co/datasets/o/r"', ".url", "is a page", '"hf://datasets/o/r"', schema=False
    ),
    "checkpoints_is_table": after("[checkpoints]\n", key="checkpoints", what="is a table", next="[[checkpoints]]"),
    "checkpoints_of_strings": after('checkpoints = ["x"]\n', key="checkpoints", what="is an array of other things"),
    "checkpoint_empty": after(
        '[[checkpoints]]\npath = "x"\n', key="checkpoints[0]", what='the key "url" is missing', next="add url"
    ),
    "checkpoint_no_path": checkpoint(
        'url = "https://h/m.ckpt"', "", 'the key "path" is missing', "checkpoints/m.ckpt", path=""
    ),
    "checkpoint_no_path_file": checkpoint(
        'url = "file:m.ckpt"', "", 'the key "path" is missing', '"checkpoints/m.ckpt"', path=""
    ),
    "checkpoint_both": checkpoint(
        'urls = ["https://h/x"]', ".urls", "exclude each other", path='path = "x"\nurl = "https://h/x"'
    ),
    "checkpoint_ftp": checkpoint('url = "ftp://h/x"', ".url", '"ftp://h/x" is not right here', "https://"),
    "checkpoint_no_host": checkpoint('url = "https:///x"', ".url", "has no host", schema=False),
    "checkpoint_bad_port": checkpoint('url = "https://h:x/y"', ".url", "is not a URL", schema=False),
    "checkpoint_hf_half": checkpoint('url = "hf://org"', ".url", "is not complete", "hf://org/repo", schema=False),
    "checkpoint_hf_up": checkpoint('url = "hf://o/r@m/../x"', ".url", "not name a plain path", schema=False),
    "checkpoint_kaggle_half": checkpoint(
        'url = "kaggle://owner/slug"', ".url", "is not complete", "kaggle://datasets/", schema=False
    ),
    "checkpoint_file_folder": checkpoint('url = "file:///x/"', ".url", "names no file", schema=False),
    "checkpoint_file_host": checkpoint('url = "file://host/x"', ".url", "on another machine", schema=False),
    "mirror_twice": checkpoint('urls = ["https://h/x", "https://h/x"]', ".urls", "stands there twice", schema=False),
    "digest_upper": after(
        CHECKPOINT.replace(DIGEST, DIGEST.upper()),
        line=2,
        key="checkpoints[0].sha256",
        what="is not a SHA-256",
        next=f'sha256 = "{DIGEST}"',
    ),
    "digest_md5": after(
        CHECKPOINT.replace(DIGEST, DIGEST[:32]),
        line=2,
        key="checkpoints[0].sha256",
        what="(32 characters) is not a SHA-256",
        next="looks like MD5",
    ),
    "digest_empty": after(
        CHECKPOINT.replace(DIGEST, ""), line=2, key="checkpoints[0].sha256", what="(0 characters) is not a SHA-256"
    ),
    "path_up": checkpoint('path = "a/../../x"', ".path", "has the part '..'", schema=False, path='url = "https://h/x"'),
    "path_backslash": checkpoint(
        'path = "a\\\\x"', ".path", "has a backslash", schema=False, path='url = "https://h/x"'
    ),
    "path_folder": checkpoint('path = "a/"', ".path", "names a folder", schema=False, path='url = "https://h/x"'),
    "path_nothing": checkpoint('path = "./."', ".path", "names no file", schema=False, path='url = "https://h/x"'),
    "path_other_home": checkpoint(
        'path = "~me/x"', ".path", "another user's", schema=False, path='url = "https://h/x"'
    ),
    "path_long_part": checkpoint(
        f'path = "{"é" * 128}"', ".path", "more than 255 bytes", schema=False, path='url = "https://h/x"'
    ),
    "same_path": after(
        CHECKPOINT + CHECKPOINT.replace('"x.ckpt"', '"./x.ckpt"'),
        line=7,
        key="checkpoints[1].path",
        what='"x.ckpt" is the same path as checkpoints[0].path',
        schema=False,
    ),
    "same_path_absolute": after(
        CHECKPOINT + CHECKPOINT.replace('"x.ckpt"', '"/kaggle/tmp/x.ckpt"'),
        line=7,
        key="checkpoints[1].path",
        what="is the same path as checkpoints[0].path",
        schema=False,
    ),
    "path_below_file": after(
        CHECKPOINT + CHECKPOINT.replace('"x.ckpt"', '"x.ckpt/y"'),
        line=7,
        key="checkpoints[1].path",
        what="needs a folder where another file stands",
        schema=False,
    ),
    "attached_elsewhere": after(
        CHECKPOINT + 'attached = "/tmp/x"\n',
        line=4,
        key="checkpoints[0].attached",
        what="not right",
        next="/kaggle/input/",
    ),
    "attached_false": after(
        CHECKPOINT + "attached = false\n",
        line=4,
        key="checkpoints[0].attached",
        what="must be true or a string, is a boolean (false)",
        next="",
    ),
    "attached_up": after(
        CHECKPOINT + 'attached = "/kaggle/input/../x"\n',
        line=4,
        key="checkpoints[0].attached",
        what="has the part '..'",
        schema=False,
    ),
    "include_of_file": after(
        CHECKPOINT + 'include = ["*"]\n', line=4, key="checkpoints[0].include", what="names one file", schema=False
    ),
    "repository_digest": checkpoint(
        f'sha256 = "{DIGEST}"', ".sha256", "has many files", schema=False, path='url = "hf://o/r@m"'
    ),
    "repository_mirror": checkpoint('urls = ["hf://o/r@m", "https://h/x"]', ".urls", "has no mirrors", schema=False),
    "index_without_packages": after(
        '[[indexes]]\nname = "x"\nurl = "https://h/simple"\n', key="indexes[0]", what='"packages" is missing'
    ),
    "substitute_itself": after(
        '[substitute]\nA_b = "a-b"\n', line=1, key="substitute.A_b", what="is to stand for itself", schema=False
    ),
    "substitute_chain": after(
        '[substitute]\na = "b"\nb = "c"\n',
        line=1,
        key="substitute.a",
        what='"b" is on the left, too',
        next='write "c" here',
        schema=False,
    ),
    "substitute_twice": after(
        '[substitute]\na = "b"\nA = "b"\n', line=2, key="substitute.A", what="stands there twice", schema=False
    ),
    "substitute_name": after('[substitute]\n"a b" = "c"\n', line=1, key="substitute.'a b'", what="is not right here"),
    "index_format": after(
        INDEX + 'format = "flat"\n', line=4, key="indexes[0].format", what='"flat" is not right', next='write "simple"'
    ),
    "index_owns_nothing": after(
        INDEX.replace('"corp-*"', ""), line=3, key="indexes[0].packages", what="must not be an empty array"
    ),
    "index_bad_url": after(
        INDEX.replace("https://", "https//u:secret@"),
        line=2,
        key="indexes[0].url",
        what="the value (27 characters) is not",
    ),
    "index_query": after(
        INDEX.replace("/simple", "/simple?token=secret"), line=2, key="indexes[0].url", what="has a '?'", schema=False
    ),
    "index_open_variable": after(
        INDEX.replace("host", "${TOKEN"), line=2, key="indexes[0].url", what="has '${' without", schema=False
    ),
    "index_variable_in_the_path": after(
        INDEX.replace("/simple", "/${TOKEN}/simple"),
        line=2,
        key="indexes[0].url",
        what="has a variable in its path",
        schema=False,
    ),
    "index_no_host": after(INDEX.replace("host", ""), line=2, key="indexes[0].url", what="has no host", schema=False),
    "index_bad_port": after(
        INDEX.replace("host", "host:x"), line=2, key="indexes[0].url", what="is not a URL", schema=False
    ),
    "index_name_twice": after(
        INDEX + INDEX.replace("corp-*", "z"), line=5, key="indexes[1].name", what="two indexes", schema=False
    ),
    "indexes_overlap": after(
        INDEX + INDEX.replace('"corp"', '"b"').replace("corp-*", "*-tools"),
        line=7,
        key="indexes[1].packages[0]",
        what='"*-tools" belongs to indexes[0] already ("corp-*" at packages[0])',
        schema=False,
    ),
    "index_pattern_twice": after(
        INDEX.replace('"corp-*"', '"a", "A"'), line=3, key="indexes[0].packages[1]", what="already", schema=False
    ),
    "directory_up": after(
        '[restore]\ndirectory = "/a/../b"\n', line=1, key="restore.directory", what="'..'", schema=False
    ),
    "restore_is_string": after(
        'restore = "x"\n', key="restore", what='must be a table, is a string ("x")', next="[restore]"
    ),
    "env_is_list": after(
        "[restore]\nenv = []\n", line=1, key="restore.env", what="must be a table of strings, is an array"
    ),
    "link_text": after('[restore]\nlink = "yes"\n', line=1, key="restore.link", what="must be a boolean, is a string"),
    "env_number": after("[restore.env]\nA = 1\n", line=1, key="restore.env.A", what="must be a string, is an integer"),
    "env_preload": after('[restore.env]\nLD_PRELOAD = "x"\n', line=1, key="restore.env.LD_PRELOAD", what="not right"),
    "env_python": after('[restore.env]\nPYTHONPATH = "x"\n', line=1, key="restore.env.PYTHONPATH", what="not right"),
    "env_path": after('[restore.env]\nPATH = "x"\n', line=1, key="restore.env.PATH", what="not right"),
    "env_name": after('[restore.env]\n"A=B" = "x"\n', line=1, key="restore.env.'A=B'", what="not right"),
    "env_control": after('[restore.env]\nA = "x\\u0000"\n', line=1, key="restore.env.A", what="(2 characters) holds"),
    "apt_is_option": after('apt = ["-oDir=/"]\n', line=0, key="apt[0]", what='"-oDir=/" is not right', next="ffmpeg"),
    "apt_twice": after('apt = ["ffmpeg", "ffmpeg=1"]\n', line=0, key="apt[1]", what="twice", schema=False),
    "apt_road": after('[restore]\napt = "apt"\n', line=1, key="restore.apt", what="not right", next='"prefix"'),
    "apt_source_without_suites": after(
        '[[apt-sources]]\nurl = "https://host/debian"\n', line=0, key="apt-sources[0]", what='"suites" is missing'
    ),
    "apt_source_breaks_line": after(
        '[[apt-sources]]\nurl = "https://host/d"\nsuites = ["x y"]\n',
        line=2,
        key="apt-sources[0].suites[0]",
        what="not right",
    ),
    "apt_source_of_no_component": after(
        '[[apt-sources]]\nurl = "https://host/d"\nsuites = ["x"]\ncomponents = []\n',
        line=3,
        key="apt-sources[0].components",
        what="empty",
        schema=False,
    ),
    "apt_snapshot_of_no_day": after(
        '[[apt-sources]]\nurl = "https://host/{snapshot}/"\nsuites = ["x"]\n',
        line=1,
        key="apt-sources[0].url",
        what="no exclude-newer",
        schema=False,
    ),
    "apt_signed_by_word": after(
        '[[apt-sources]]\nurl = "https://host/d"\nsuites = ["x"]\nsigned-by = "no"\n',
        line=3,
        key="apt-sources[0].signed-by",
        what="not right",
        next='"nobody"',
    ),
    "dataset_without_owner": after(
        '[publish]\ndataset = "x"\n', line=1, key="publish.dataset", what="not right", next="owner/"
    ),
}
