"""A teacher restores the clips that a student learns from: the published net in PyTorch, or any model file.

A model file goes through ONNX Runtime on the CPU, which takes little more than half of PyTorch's time there
(`docs/published.md`); on a GPU a checkpoint is the better teacher, since its clips never leave it.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from apollo_rt.errors import ModelFileError
from apollo_rt.inference.model import load
from apollo_rt.inference.model_file import read_model_file
from apollo_rt.inference.probe import probe_model
from apollo_rt.stream.batch_stream import BatchStream, open_batch_stream
from apollo_rt.stream.restoration_stream import RestorationStream
from training.nets import checkpoint

_MODEL_FILE = ".onnx"


class ModelFileTeacher(nn.Module):
    """A model file that restores whole clips, each from a fresh stream and aligned with itself.

    Args:
        path: of the file.

    Attributes:
        sample_rate: Hz.

    Raises:
        ModelFileError: the file is not usable.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        file = read_model_file(path)
        probe_model(file)
        model = load(file)
        self.sample_rate = model.framing.sample_rate
        self._stream: BatchStream | RestorationStream = open_batch_stream(model) or RestorationStream(model)

    @torch.no_grad()
    def forward(self, damaged: Tensor) -> Tensor:
        """Restore. Shape: (batch, 2, samples) -> the same."""
        clips = [self._restored(clip) for clip in damaged.detach().float().cpu().numpy()]
        return torch.from_numpy(np.stack(clips)).to(damaged)

    def _restored(self, clip: np.ndarray) -> np.ndarray:
        stream = self._stream
        stream.reset()
        late = np.concatenate((stream.process(np.ascontiguousarray(clip.T)), stream.finish()))
        return np.ascontiguousarray(late[stream.latency_samples :].T)


def load_teacher(path: Path, sample_rate: int) -> nn.Module:
    """A teacher of a model file (`.onnx`), or of the published net's checkpoint.

    Args:
        path: of the file.
        sample_rate: Hz of the clips.

    Raises:
        ValueError: the file can't be used, or is of another rate.
    """
    try:
        teacher = ModelFileTeacher(path) if path.suffix == _MODEL_FILE else checkpoint.load_published(path)
    except ModelFileError as error:
        raise ValueError(str(error)) from None
    if teacher.sample_rate != sample_rate:
        raise ValueError(f"{path}: restores {teacher.sample_rate} Hz, the clips have {sample_rate} Hz")
    return teacher
