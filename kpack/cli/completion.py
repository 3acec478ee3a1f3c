"""``kpack completion``: what a shell needs to complete commands, options, images and the packages of the file."""

from __future__ import annotations

import click

from kpack.cli.session import answer, json_option, tell

VARIABLE = "_KPACK_COMPLETE"
"""Set by a shell that asks what goes on; its value says which shell, and what it asks."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
@click.pass_context
def completion(ctx: click.Context, shell: str, *, as_json: bool) -> None:
    r"""Print the script by which a shell completes commands, options, images, packages of the file, and paths.

    \b
    kpack completion bash > ~/.local/share/bash-completion/completions/kpack
    kpack completion zsh > "${fpath[1]}/_kpack"
    kpack completion fish > ~/.config/fish/completions/kpack.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    asks = kind(ctx.find_root().command, {}, "kpack", VARIABLE)
    # Not asks.source(): for bash that starts the bash of this machine to ask for its version.
    script = (asks.source_template % asks.source_vars()).strip("\n")
    if as_json:
        answer({"shell": shell, "script": script})
    else:
        tell(script, wrap=False)
