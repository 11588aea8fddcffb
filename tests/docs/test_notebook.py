"""The notebook is run from its first cell to its last: it restores a file, draws both spectra, and has two players."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests import ROOT
from tests.doubles.sound_files import tone, write

NOTEBOOK = ROOT / "docs/examples/restore.ipynb"


def test_no_output_is_kept_in_the_repository() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert len(cells) > 5
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in cells)


@pytest.mark.slow
def test_it_restores_an_own_file_with_pictures_and_players(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient")
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat")
    pytest.importorskip("ipykernel", reason="needs ipykernel")
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    song = write(tmp_path / "song.wav", tone(2 * 44_100), subtype="FLOAT")
    monkeypatch.setenv("APOLLO_RT_SONG", str(song))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    restored, _ = soundfile.read(tmp_path / "restored.wav", always_2d=True)
    assert restored.shape == (2 * 44_100, 2)
    assert np.abs(restored).max() > 0.01
    shown = [kind for cell in notebook.cells for out in cell.get("outputs", ()) for kind in out.get("data", {})]
    assert "image/png" in shown
    assert sum("<audio" in str(out.get("data", {}).get("text/html")) for out in notebook.cells[-1].outputs) == 2
