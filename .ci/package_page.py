"""The README as a package index shows it: `python .ci/package_page.py FOLDER ADDRESS`, in a copy of the repository.

An index shows the README alone, so links and pictures that lead into the repository get its address, and the package
names it. The address belongs to who releases; the repository itself doesn't know where it lies.

    ADDRESS/blob/main/docs/live.md      a link to a file
    ADDRESS/raw/main/docs/screen.png    a picture
"""

import re
import sys
from pathlib import Path

BRANCH = "main"
_LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?!https?://|#)(?P<target>[^)\s]+)\)")
_PAGES = {
    "Documentation": "blob/main/README.md",
    "Changelog": "blob/main/CHANGELOG.md",
    "Source": "",
    "Issues": "issues",
}


def absolute(readme: str, address: str) -> str:
    """The text with every relative link as an absolute one, code blocks left as they are."""

    def lead(found: re.Match[str]) -> str:
        kind = "raw" if found["picture"] else "blob"
        return f"{found['picture']}[{found['text']}]({address}/{kind}/{BRANCH}/{found['target']})"

    blocks = re.split(r"(^```.*?^```)", readme, flags=re.MULTILINE | re.DOTALL)
    return "".join(block if block.startswith("```") else _LINK.sub(lead, block) for block in blocks)


def with_urls(pyproject: str, address: str) -> str:
    """The project's settings with its addresses."""
    lines = [f'{name} = "{address}/{page}"'.replace('/"', '"') for name, page in _PAGES.items()]
    table = "[project.urls]\n" + "\n".join(lines) + "\n\n"
    return pyproject.replace("[project.scripts]\n", f"{table}[project.scripts]\n")


def main(folder: Path, address: str) -> None:
    """Change README.md and pyproject.toml of a copy."""
    for name, change in (("README.md", absolute), ("pyproject.toml", with_urls)):
        path = folder / name
        path.write_text(change(path.read_text(), address.rstrip("/")))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
