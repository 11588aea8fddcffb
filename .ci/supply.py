"""What the program is made of, told from what is installed: `python .ci/supply.py write` or `audit`.

    write   docs/licences.md, a table, and docs/sbom.cdx.json, a CycloneDX 1.6 bill of materials
    audit   what is installed is what requirements.lock says, both files above are of that, each licence is known, and
            what the program itself needs is under no licence that it may not be handed on with

A list of known weaknesses (as pip-audit asks for) needs a service in the net, and is no part of this.
"""

import json
import re
import sys
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCK, TABLE, SBOM = ROOT / "requirements.lock", ROOT / "docs/licences.md", ROOT / "docs/sbom.cdx.json"
OWN = "apollo-rt"
EXTRAS = ("midi", "pedalboard", "export", "train", "bench", "test")

READ_IN_FILE = {"pyrnnoise": "Apache-2.0", "zimtohrli": "Apache-2.0"}
"""Said by no field of their metadata, but by the licence's text that they bring along."""

CARRIED = {
    "av": ("FFmpeg, with x264 and x265", "GPL-2.0-or-later", ("libavcodec", "libx264", "libx265")),
    "soundfile": ("libsndfile", "LGPL-2.1-or-later", ("libsndfile",)),
}
"""Libraries inside a wheel whose licence is another than the wheel's, and the beginnings of their files' names."""

_WORDS = {
    "Apache Software License": "Apache-2.0", "Apache 2.0": "Apache-2.0", "BSD License": "BSD", "MIT License": "MIT",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0", "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0", "3-Clause BSD License": "BSD-3-Clause",
}  # fmt: skip
_STRONG = re.compile(r"\bA?GPL")


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(text: str) -> dict[str, str]:
    """Name to version of what a lock holds for this system."""
    rows = re.findall(r"^([\w.-]+)==([^ ;]+)(?: ; (.+?))? \\$", text, re.MULTILINE)
    return {normal(name): version for name, version, marker in rows if not marker or _holds(marker)}


def _holds(marker: str) -> bool:
    found = Requirement(f"x ; {marker}").marker
    return found is None or found.evaluate()


def licence(package: Distribution) -> str:
    """As the package itself says it, in SPDX's words where there are some."""
    metadata = package.metadata
    told = metadata.get("License-Expression") or READ_IN_FILE.get(normal(metadata["Name"]), "")
    classes = [row.rpartition(" :: ")[2] for row in metadata.get_all("Classifier", []) if row.startswith("License")]
    free = (metadata.get("License") or "").strip()
    words = [told, *classes, free if "\n" not in free and len(free) < 60 else ""]
    said = next((word for word in words if word), "")
    return _WORDS.get(said, said)


def needed(extras: tuple[str, ...]) -> set[str]:
    """Names of all that the program needs with some extras, what those need included."""
    seen: set[tuple[str, tuple[str, ...]]] = set()
    waiting = [(OWN, extras)]
    while waiting:
        entry = waiting.pop()
        if entry in seen:
            continue
        seen.add(entry)
        environments = [{"extra": extra} for extra in ("", *entry[1])]
        for row in map(Requirement, distribution(entry[0]).requires or []):
            if row.marker is None or any(map(row.marker.evaluate, environments)):
                waiting.append((normal(row.name), tuple(sorted(row.extras))))  # noqa: PERF401  # the loop reads it
    return {name for name, _ in seen} - {OWN}


def parts() -> list[tuple[str, str, str, str]]:
    """Name, version, licence and what it is for, of all that is locked; what the program itself needs comes first."""
    versions = locked(LOCK.read_text())
    itself = needed(())
    uses = {extra: needed((extra,)) for extra in EXTRAS}
    rows = []
    for name in sorted(versions, key=lambda name: (name not in itself, name)):
        use = "the program" if name in itself else next((extra for extra in EXTRAS if name in uses[extra]), "building")
        package = distribution(name)
        rows.append((name, package.version, licence(package), use))
        if name in CARRIED:
            what, under, _ = CARRIED[name]
            rows.append((f"{name}: {what}", "in its wheel", under, use))
    return rows


def table() -> str:
    """The page of licences."""
    lines = [
        "# Licences of what the program is made of\n",
        "Made by `python .ci/supply.py write` from what is installed (Linux, Python 3.11, all extras).\n"
        "The same as a bill of materials (CycloneDX): [sbom.cdx.json](sbom.cdx.json).\n"
        "What may be handed on with what: [README](../README.md#licence).\n",
        "| package | version | licence | for |\n|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in parts()),
    ]
    return "\n".join(lines) + "\n"


def bill() -> str:
    """The bill of materials; without a date or a number, so that the same parts make the same file."""
    version = distribution(OWN).version
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{number}",
            "name": name,
            "version": number,
            "purl": f"pkg:pypi/{name}@{number.replace('+', '%2B')}",
            "licenses": [{"license": {"name": under}}],
            "scope": "required" if use == "the program" else "optional",
        }
        for name, number, under, use in parts()
        if ":" not in name
    ]
    carried = [
        {"type": "library", "name": what, "licenses": [{"license": {"name": under}}], "scope": "required",
         "description": f"inside the wheel of {name}"}
        for name, (what, under, _) in CARRIED.items()
    ]  # fmt: skip
    own = {"type": "application", "name": OWN, "version": version, "licenses": [{"license": {"id": "MIT"}}]}
    content = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": {"component": own},
               "components": components + carried}  # fmt: skip
    return json.dumps(content, indent=1) + "\n"


def faults() -> list[str]:
    """What the audit finds, one line each."""
    versions = locked(LOCK.read_text())
    installed = {normal(package.metadata["Name"]): package.version for package in distributions()}
    found = [
        f"{name}: locked is {versions.get(name, 'nothing')}, installed {installed.get(name, 'nothing')}"
        for name in sorted((versions.keys() | installed.keys()) - {OWN, "pip"})
        if versions.get(name) != installed.get(name, "").partition("+")[0]
    ]
    if found:  # the rest would only say so again
        return found
    for path, wanted in ((TABLE, table()), (SBOM, bill())):
        if not path.exists() or path.read_text() != wanted:
            found.append(f"{path.relative_to(ROOT)}: is of other parts; run `python .ci/supply.py write`")
    for name, (what, _, beginnings) in CARRIED.items():
        files = [Path(file).name for file in distribution(name).files or []]
        missing = [beginning for beginning in beginnings if not any(file.startswith(beginning) for file in files)]
        if missing:
            found.append(f"{name}: carries no {' or '.join(missing)}, so {what!r} in CARRIED is not so any more")
    for name, _, under, use in parts():
        if not under:
            found.append(f"{name}: says nothing of its licence; read it and add it to READ_IN_FILE")
        if use == "the program" and _STRONG.search(under) and ":" not in name:
            found.append(f"{name}: is under {under}, and the program itself needs it")
    return found


def main(what: str) -> int:
    """Do it."""
    if what == "write":
        TABLE.write_text(table())
        SBOM.write_text(bill())
        return 0
    found = faults()
    print("\n".join(found) or f"{len(parts())} parts: as locked, with known licences")  # noqa: T201  # it is a script
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
