"""A teacher of a model file gives the lessons that its checkpoint gives."""

from pathlib import Path

import pytest
import torch

from tests.doubles import tiny_models
from tests.doubles.published_nets import model_of, random_net
from training.fitting.teachers import load_teacher


def test_a_model_file_teaches_what_its_checkpoint_does(tmp_path: Path) -> None:
    net = random_net(16, 1)
    torch.save(net.state_dict(), tmp_path / "apollo.bin")
    clips = torch.randn(3, 2, 10_007, generator=torch.Generator().manual_seed(0)) * 0.2
    lessons = [
        load_teacher(path, 44_100)(clips) for path in (tmp_path / "apollo.bin", model_of(net, tmp_path / "a.onnx"))
    ]
    assert lessons[0].abs().max() > 0.01
    torch.testing.assert_close(lessons[1], lessons[0], rtol=0, atol=float(lessons[0].abs().max()) * 1e-5)


def test_any_model_file_teaches_aligned_with_its_clips(tmp_path: Path) -> None:
    teacher = load_teacher(tiny_models.gain(tmp_path, 0.25), 44_100)
    clips = torch.randn(2, 2, 3001, generator=torch.Generator().manual_seed(0)) * 0.1
    for _ in range(2):  # the second time as the first: each clip has a fresh stream
        torch.testing.assert_close(teacher(clips), 0.25 * clips, rtol=0, atol=1e-6)


def test_a_teacher_of_another_rate_or_none_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="restores 44100 Hz, the clips have 48000 Hz"):
        load_teacher(tiny_models.identity(tmp_path), 48_000)
    (tmp_path / "none.onnx").write_text("no model")
    with pytest.raises(ValueError, match=r"none\.onnx"):
        load_teacher(tmp_path / "none.onnx", 44_100)
