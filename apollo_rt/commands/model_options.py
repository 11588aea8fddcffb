"""The options `--model` and `--provider`, which several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from apollo_rt.inference.provider import NAMES, parse_provider

Command = TypeVar("Command", bound=Callable[..., Any])


class ProviderType(click.ParamType[str]):
    """A provider as `parse_provider` reads it; checked here, used later."""

    name = "provider"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Value as help shows it."""
        return "|".join(NAMES)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is no provider, as wrong usage."""
        try:
            parse_provider(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


def model_option(command: Command) -> Command:
    """`--model`: a name or a file."""
    return click.option(
        "--model", metavar="NAME|FILE", help="Another model than the built-in one; `apollo-rt model list` shows names."
    )(command)


def provider_option(default: str = "auto") -> Callable[[Command], Command]:
    """`--provider`: what runs the model."""
    return click.option(
        "--provider", type=ProviderType(), default=default, show_default=True,
        help="What runs the model: used, or an error. auto: the fastest there is. tensorrt takes +fp16, both +graph.",
    )  # fmt: skip
