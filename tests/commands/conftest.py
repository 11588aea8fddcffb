"""What tests of several commands share: a tiny model, and music with what the model that ships makes of it."""

from pathlib import Path

import numpy as np
import pytest

from apollo_rt.config import Framing
from apollo_rt.errors import ModelFileError
from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.files.audio_writer import AudioWriter
from apollo_rt.files.offline import restore_file
from apollo_rt.files.output_format import OutputSettings
from apollo_rt.inference.model import load
from apollo_rt.inference.model_file import default_model_path
from apollo_rt.session.named_files import input_file
from tests.doubles import tiny_models
from tests.doubles.audio_servers import RATE

CLIP_S = 6.0


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose model halves what it hears."""
    return tiny_models.gain(tmp_path_factory.mktemp("model"), 0.5)


@pytest.fixture(scope="session")
def shipped_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that ships with the package; until there is one, a tiny one that shows everything out of step."""
    try:
        return default_model_path()
    except ModelFileError:
        return tiny_models.busy(tmp_path_factory.mktemp("model"), Framing())


@pytest.fixture(scope="session")
def clip() -> np.ndarray:
    """The beginning of the demo: music that a codec damaged, at half its level so that nothing is clipped."""
    with AudioReader(input_file("demo")) as reader:
        return np.ascontiguousarray(0.5 * reader.read(round(CLIP_S * RATE)))


@pytest.fixture(scope="session")
def restored(clip: np.ndarray, shipped_model: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The clip, restored off line."""
    folder = tmp_path_factory.mktemp("offline")
    source, target = folder / "clip.wav", folder / "restored.wav"
    with AudioWriter(source, RATE, settings=OutputSettings(float_wav=True)) as writer:
        writer.write(clip)
    restore_file(source, target, load(shipped_model), output=OutputSettings(float_wav=True))
    with AudioReader(target) as reader:
        return reader.read(len(clip))
