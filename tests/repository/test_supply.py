"""The lock, the table of licences and the bill of materials say the same, and what pyproject.toml says.

That what is installed is what is locked is the gate's to see (`.ci/supply.py audit`): here may be other versions.
"""

import importlib.util
import json
import re
import tomllib

import pytest
from packaging.requirements import Requirement

from tests import ROOT

LOCK = (ROOT / "requirements.lock").read_text()


@pytest.fixture(scope="module")
def supply():
    spec = importlib.util.spec_from_file_location("supply", ROOT / ".ci/supply.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_line_of_the_lock_is_a_version_with_hashes_and_none_names_a_place():
    assert "://" not in LOCK
    entries = re.split(r"^(?=[a-z])", LOCK.partition("\n\n")[0], flags=re.MULTILINE)[1:]
    assert len(entries) > 100
    for entry in entries:
        head, *hashes = entry.strip().splitlines()
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; [^\\]+)? \\", head), head
        assert hashes, head
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in hashes), head


def test_what_the_program_needs_has_a_range_with_both_ends():
    for text in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]:
        assert {part.operator for part in Requirement(text).specifier} == {">=", "<"}, text


def test_the_lock_holds_a_version_within_every_range_of_pyproject(supply):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    wanted = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *(row for extra in supply.EXTRAS for row in extras[extra]),
    ]
    versions = supply.locked(LOCK)
    for row in map(Requirement, wanted):
        if row.name != "apollo-rt" and (row.marker is None or row.marker.evaluate()):
            assert row.specifier.contains(versions[supply.normal(row.name)]), row


def test_a_marker_is_minded(supply):
    text = 'here==1 ; python_version > "3" \\\n    --hash=sha256:0\nelsewhere==2 ; python_version < "3" \\\n'
    assert supply.locked(text) == {"here": "1"}


def test_table_and_bill_of_materials_are_of_the_same_parts(supply):
    rows = re.findall(
        r"^\| ([\w-]+) \| ([\w.+]+) \| (.+) \| .+ \|$", (ROOT / "docs/licences.md").read_text(), re.MULTILINE
    )
    table = {name: version for name, version, _ in rows if name != "package"}
    bill = json.loads((ROOT / "docs/sbom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    parts = {part["name"]: part["version"] for part in bill["components"] if "version" in part}
    assert parts == table
    assert all(licence.strip() for _, _, licence in rows)
    text = {name for name, _ in re.findall(r"^([a-z0-9-]+)==([\w.]+)", LOCK, re.MULTILINE)}
    assert table.keys() <= text


def test_what_a_wheel_carries_under_another_licence_is_in_both_and_in_the_readme(supply):
    bill, table = (ROOT / "docs/sbom.cdx.json").read_text(), (ROOT / "docs/licences.md").read_text()
    readme = (ROOT / "README.md").read_text().partition("## Licence")[2]
    for name, (what, licence, _) in supply.CARRIED.items():
        assert what in bill
        assert f"| {name}: {what} | in its wheel | {licence} |" in table
    assert "x264 and x265: GPL" in readme
    assert "CC BY-SA" in readme
    assert "GPLv3" in readme


def test_a_licence_is_read_from_whichever_field_says_it(supply):
    class Package:
        def __init__(self, **fields):
            from email.message import Message

            self.metadata = Message()
            self.metadata["Name"] = "x"
            for name, value in fields.items():
                self.metadata[name.replace("_", "-")] = value

    assert supply.licence(Package(License_Expression="MIT-0")) == "MIT-0"
    assert supply.licence(Package(Classifier="License :: OSI Approved :: BSD License")) == "BSD"
    assert supply.licence(Package(License="Apache 2.0")) == "Apache-2.0"
    assert supply.licence(Package(License="Copyright\nlong text")) == ""
