"""The command that makes the docs' pictures of the screen."""

import struct
from pathlib import Path

from apollo_rt.config import Framing
from apollo_rt.inference.model import load
from benchmarks.programs.screenshots import PICTURES, Picture, take_all
from tests import ROOT
from tests.doubles import tiny_models

DOCS = ROOT / "docs"


def test_pictures_of_a_run_are_written_as_svg_and_png(tmp_path: Path) -> None:
    model = load(tiny_models.carrier_only(tmp_path, 1.0, Framing()))
    svg, png = take_all(model, tmp_path, 0.5, [Picture("screen", 80, 24)])
    assert all(word in svg.read_text() for word in ("RESTORING", "spectrum", "strength", "DejaVu Sans Mono"))
    assert "http" not in svg.read_text().replace("http://www.w3.org", "").replace("https://www.textualize.io", "")
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png.read_bytes()[16:24])
    assert (width, height) > (900, 500)


def test_the_docs_have_every_picture_and_show_it() -> None:
    page = (DOCS / "screen.md").read_text()
    for picture in PICTURES:
        assert (DOCS / f"{picture.name}.svg").exists()
        assert (DOCS / f"{picture.name}.png").exists()
        assert f"({picture.name}.png)" in page
