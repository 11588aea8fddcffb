"""The table per codec says what a system does to each damage, marks harm, and stands in its place of a page."""

from dataclasses import fields
from pathlib import Path

import pytest

from training.evaluation import codec_table
from training.evaluation.judge import Scores
from training.evaluation.measure import Row


def row(clip: str, damage: str, system: str, visqol: float, worse: float) -> Row:
    """One row with some figures of no meaning."""
    zeros = {field.name: 0.0 for field in fields(Scores)}
    scores = Scores(**zeros | {"visqol": visqol, "visqol_worst": worse, "lsd": 1.0, "si_sdr_db": 10.0})
    return Row(clip, "music", "unknown", damage, system, None, scores)


ROWS = [
    row("a", "mp3-48", "untouched", 2.0, 1.9),
    row("b", "mp3-48", "untouched", 2.0, 1.9),
    row("a", "mp3-48", "net", 3.5, 3.0),
    row("b", "mp3-48", "net", 1.9, 1.8),
    row("a", "sbc-192", "untouched", 4.5, 4.5),
    row("a", "sbc-192", "net", 4.47, 4.49),
]


def test_a_row_a_damage_with_means_the_clip_that_gains_least_and_harm_in_bold() -> None:
    heading, _, mp3, sbc = codec_table.table(ROWS, "net").splitlines()
    assert heading.startswith("| damage | ViSQOL | ViSQOL, worse channel | LSD | SI-SDR, dB | gains least")
    assert mp3 == "| mp3-48 | 2.00 -> 2.70 | 1.90 -> 2.40 | 1.00 -> 1.00 | 10.00 -> 10.00 | b (**-0.10**) |"
    assert sbc == "| sbc-192 | 4.50 -> **4.47** | 4.50 -> 4.49 | 1.00 -> 1.00 | 10.00 -> 10.00 | a (**-0.03**) |"


def test_it_replaces_what_stood_in_its_place_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- codecs -->\nold\n<!-- end of codecs -->\nafter\n")
    for text in ("| one |", "| two |"):
        codec_table.write(page, text)
        assert page.read_text() == f"before\n<!-- codecs -->\n{text}\n<!-- end of codecs -->\nafter\n"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="must have one place"):
        codec_table.write(page, "| three |")
