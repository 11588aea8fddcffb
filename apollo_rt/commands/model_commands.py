"""`apollo-rt model`: what models there are, what one says of itself, and whether that is so."""

import json
import shutil
from typing import TYPE_CHECKING

import click

from apollo_rt.commands.model_import import import_model
from apollo_rt.commands.model_options import provider_option
from apollo_rt.console.say import say

if TYPE_CHECKING:
    from apollo_rt.inference.model import Model

_COLUMNS = 100
"""Of a screen that isn't one, such as a pipe."""


@click.group(short_help="List, describe, verify and import models.")
def model() -> None:
    """List, describe, verify and import models.

    A model is a file, or the name of one that ships with the program or lies in your own folder (see `list`).
    """


model.add_command(import_model)


@model.command("list")
def list_all() -> None:
    """Show the models that can be named, and where your own belong."""
    from apollo_rt.inference.model_library import ENVIRONMENT, list_models, user_folder

    for entry in list_models():
        text = f"{entry.card.name}, {', '.join(entry.card.tiers)}" if entry.card else f"not usable: {entry.error}"
        say(f"{entry.path.stem}  ({entry.place})  {text}")
    say(f"Your own go to {user_folder()} (or where {ENVIRONMENT} says).")


@model.command()
@click.argument("name", required=False, metavar="[NAME|FILE]")
@click.option("--measure/--no-measure", default=True, show_default=True, help="Time its step on this machine.")
@click.option("--all", "everything", is_flag=True, help="All that the card says, however long.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object.")
@provider_option("cpu")
def info(name: str | None, measure: bool, everything: bool, as_json: bool, provider: str) -> None:
    """Show a model's card on one screen: what it is, trained on what, how good, how fast, latency, licence, hash."""
    from apollo_rt.commands.model_card import card_lines, card_record
    from apollo_rt.inference.model_choice import open_model, step_time_s
    from apollo_rt.inference.model_file import read_model_file
    from apollo_rt.inference.model_library import find_model

    file = read_model_file(find_model(name))
    if as_json:
        record = card_record(file)
        if measure:
            loaded = open_model(file, provider)
            record |= {"provider": str(loaded.provider), "step_ms": round(1e3 * step_time_s(loaded), 4)}
        say(*json.dumps(record, indent=2).splitlines())
        return
    width = None if everything else shutil.get_terminal_size((_COLUMNS, 24)).columns
    for line in card_lines(file, width):
        say(line)
    if measure:
        say(f"  {'speed':<12}{speed_text(open_model(file, provider))}")


@model.command()
@click.argument("name", required=False, metavar="[NAME|FILE]")
@click.option("--format", "form", type=click.Choice(["hub"]), default="hub", show_default=True, help="Whose card.")
def card(name: str | None, form: str) -> None:
    """Print a model card: hub is a README.md for a repository of Hugging Face's hub that holds the file."""
    from apollo_rt.commands.hub_card import hub_card
    from apollo_rt.inference.model_file import read_model_file
    from apollo_rt.inference.model_library import find_model

    assert form == "hub"
    say(*hub_card(read_model_file(find_model(name))).splitlines())


@model.command()
@click.argument("name", required=False, metavar="[NAME|FILE]")
@provider_option("cpu")
def verify(name: str | None, provider: str) -> None:
    """Check a model: its fields, its hashes, and that it returns on this machine what its file says it must."""
    from apollo_rt.inference.model_choice import open_model, open_tiers
    from apollo_rt.stream.golden import golden_error_db

    tiers = open_tiers(open_model(name, provider))
    errors = {tier: golden_error_db(loaded) for tier, loaded in tiers.items()}
    loaded = next(iter(tiers.values()))
    returned = ", ".join(f"{tier} to {error_db:.0f} dB" for tier, error_db in errors.items())
    say(
        f"{loaded.card.path}: all right; fields and hashes hold, and on {loaded.provider} the golden pair "
        f"({len(loaded.card.golden.input)} hops) comes out, relative to its peak: {returned}"
    )


def speed_text(loaded: "Model") -> str:
    """Time of a step in words, measured now, one after the other."""
    from apollo_rt.inference.model_choice import step_time_s

    time_s = step_time_s(loaded)
    load_percent = 100 * time_s / loaded.framing.hop_period_s
    return f"{1e3 * time_s:.2f} ms a step on {loaded.provider} here and now (median), load {load_percent:.0f} %"
