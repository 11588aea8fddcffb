"""Options of the command line that are made from the table of parameters."""

import click
import pytest
from click.testing import CliRunner

from apollo_rt.commands.live import live
from apollo_rt.commands.parameter_options import parameter_options, take_parameters
from apollo_rt.commands.restore import restore
from apollo_rt.control.parameter_table import PARAMETERS


@click.command()
@parameter_options
def show(**options):
    click.echo(take_parameters(options))
    assert not options


def run(command, *arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], terminal_width=1000)


def values(*arguments):
    result = run(show, *arguments)
    assert result.exit_code == 0, result.output
    return eval(result.output)


def test_each_row_is_an_option_of_both_commands_with_its_words_and_bounds():
    for command in (live, restore):
        text = " ".join(run(command, "--help").output.split())
        for row in PARAMETERS:
            assert f"--{row.name.replace('_', '-')} " in text
            assert row.description in text
            assert row.is_switch or row.bounds_text in text


def test_without_options_all_values_are_the_defaults():
    assert values() == {row.name: row.default for row in PARAMETERS}


def test_every_value_of_every_row_can_be_given():
    for row in PARAMETERS:
        flag = f"--{row.name.replace('_', '-')}"
        if row.is_switch:
            assert values(flag)[row.name] == 1.0
            continue
        for value in (row.minimum, row.value_at(0.3), row.maximum):
            assert values(flag, value)[row.name] == pytest.approx(value)


def test_what_a_minimum_means_and_units_can_be_given_too():
    assert values("--low-cut-hz", "off")["low_cut_hz"] == 20
    assert values("--air-db", "-3 dB")["air_db"] == -3
    assert values("--air-db", "none")["air_db"] == -60


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--strength", "2"], "strength must be from 0 to 1.5, got 2"),
        (["--air-db", "much"], "air_db must be -60 (none) to 12 dB, got 'much'"),
    ],
)
def test_a_wrong_value_is_answered_with_what_is_allowed(arguments, said):
    result = run(show, *arguments)
    assert result.exit_code == 2
    assert said in result.output
