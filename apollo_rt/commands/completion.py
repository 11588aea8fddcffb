"""`apollo-rt completion`: a script with which a shell completes commands and options."""

import click
from click.shell_completion import get_completion_class

from apollo_rt.console.say import say

_PROGRAM, _VARIABLE = "apollo-rt", "_APOLLO_RT_COMPLETE"


@click.command(short_help="Print a shell's completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that completes commands and options; each call of it asks the program itself.

    bash: apollo-rt completion bash > ~/.local/share/bash-completion/completions/apollo-rt; zsh: into a file _apollo-rt
    of a folder in $fpath; fish: into ~/.config/fish/completions/apollo-rt.fish.
    """
    found = get_completion_class(shell)
    assert found is not None
    say(*found(context.find_root().command, {}, _PROGRAM, _VARIABLE).source().splitlines())
