"""The report as one Markdown page with pictures beside it, and as one HTML page that holds everything."""

import base64
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report.runs import SavedRun
from benchmarks.report.sections import Section, sections

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 76em; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px; display: block; overflow-x: auto }
th, td { padding: .25em .6em; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left; white-space: normal }
img { max-width: 100% }
"""
_HEAD = (
    "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'><title>{title}</title><style>{style}</style></head>"
)


def write(runs: Sequence[SavedRun], folder: Path) -> list[Path]:
    """Write `report.md` with its pictures, and `report.html`, each beside and then renamed.

    Args:
        runs: at least one.
        folder: made if it is not there.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = sections(runs)
    title = "Benchmarks: " + "; ".join(run.label for run in runs)
    pictures = {name: picture for part in parts for name, picture in part.pictures.items()}
    page = _markdown(title, parts)
    files = pictures | {"report.md": page.encode(), "report.html": _html(title, page, pictures).encode()}
    for name, content in files.items():
        _replace(folder / name, content)
    return [folder / name for name in files]


def _markdown(title: str, parts: Sequence[Section]) -> str:
    lines = [f"# {title}", "How to read it, and what makes such numbers lie: `docs/benchmarks.md`."]
    for part in parts:
        lines += [f"## {part.heading}", *([part.text] if part.text else [])]
        lines += [f"![{_alt(name)}]({name})" for name in part.pictures]
        lines += part.tables
    return "\n\n".join(lines) + "\n"


def _html(title: str, page: str, pictures: dict[str, bytes]) -> str:
    import markdown

    body = markdown.markdown(page, extensions=["tables"])
    for name, picture in pictures.items():
        body = body.replace(f'src="{name}"', f'src="data:image/png;base64,{base64.b64encode(picture).decode()}"')
    return f"{_HEAD.format(title=title, style=_STYLE)}<body>\n{body}\n</body></html>\n"


def _alt(name: str) -> str:
    return name.removesuffix(".png").replace("_", " ")


def _replace(file: Path, content: bytes) -> None:
    part = file.with_name(f".{file.name}.part")
    part.write_bytes(content)
    part.replace(file)
