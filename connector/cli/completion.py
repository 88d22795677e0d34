"""`carnet completion`: what makes a shell complete commands and options. Click does the completing."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

from connector.cli.errors import Failed

SHELLS: Final = ("bash", "zsh", "fish")
VARIABLE: Final = "_CARNET_COMPLETE"
"""By this the shell asks the program, which click derives from its name."""


@click.command(name="completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print a script that makes SHELL complete commands, options and their choices.

    \b
    bash:  carnet completion bash > ~/.local/share/bash-completion/completions/carnet
    zsh:   carnet completion zsh > "${fpath[1]}/_carnet"
    fish:  carnet completion fish > ~/.config/fish/completions/carnet.fish
    """
    kind = get_completion_class(shell)
    root = click.get_current_context().find_root().command
    if kind is None:
        raise Failed("shell-unknown", f"there is no completion for {shell}")
    script = kind(root, {}, "carnet", VARIABLE)
    click.echo(script.source_template % script.source_vars())
