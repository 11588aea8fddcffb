"""docs/control.md says what is: its tables are made from those of the program.

`python -m tests.docs.test_control` writes them anew.
"""

import re

import yaml

from apollo_rt.control.arguments import Argument
from apollo_rt.control.commands import COMMANDS
from apollo_rt.control.midi.map import default_map, read_map
from apollo_rt.control.parameter_table import PARAMETERS
from tests import ROOT

PATH = ROOT / "docs/control.md"


def argument_text(argument: Argument) -> str:
    """As in the table."""
    name = f"`{argument.name}`" if argument.is_required else f"(`{argument.name}`)"
    return f"{name}: {argument.description}"


def tables() -> dict[str, str]:
    """What stands between the marks, by their names."""
    commands = [
        f"| `{row.name}` | {'<br>'.join(map(argument_text, row.arguments))} | {row.description} |" for row in COMMANDS
    ]
    described = {row.name: row.description for row in PARAMETERS}
    midi = [
        f"| `{origin}` | `{action}` | {described.get(action.name, 'Program n loads the n-th preset, from 0.')} |"
        for origin, action in default_map(PARAMETERS).bindings.items()
    ]
    return {
        "commands": "\n".join(["| command | arguments | |", "|---|---|---|", *commands]),
        "midi": "\n".join(["| what moves | what happens | |", "|---|---|---|", *midi]),
    }


def with_tables(text: str) -> str:
    """The page with the tables as they are now."""
    for name, table in tables().items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{table}\n\n{end}{rest.partition(end)[2]}"
    return text


def test_its_tables_are_those_of_the_program():
    assert PATH.read_text() == with_tables(PATH.read_text())
    assert all(table in PATH.read_text() for table in tables().values())


def test_its_map_is_one_and_its_preset_too(tmp_path):
    preset, midi_map = re.findall(r"```yaml\n(.*?)```", PATH.read_text(), re.DOTALL)
    (tmp_path / "map.yaml").write_text(midi_map)
    assert len(read_map(tmp_path / "map.yaml", PARAMETERS).bindings) > 10
    assert yaml.safe_load(preset).keys() <= {row.name for row in PARAMETERS}


if __name__ == "__main__":
    PATH.write_text(with_tables(PATH.read_text()))
