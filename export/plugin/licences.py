"""Licences of all that a bundle holds, to lie beside it."""

import shutil
from pathlib import Path

from apollo_rt.inference.model_file import ModelCard

_OURS = Path(__file__).parents[2] / "LICENSE"
_INSTALLED = {
    "dpf.txt": Path("/usr/share/dpf/LICENSE"),
    "kissfft.txt": Path("/usr/share/doc/libkissfft-dev/copyright"),
}
_OF_RUNTIME = ("LICENSE", "ThirdPartyNotices.txt")


def write_licences(folder: Path, card: ModelCard, library: Path) -> None:
    """Write what a bundle's receiver must get into `folder`, which is made.

    Args:
        folder: beside model and library.
        card: of the model.
        library: ONNX Runtime's; its licences are looked for beside it, as its package has them.
    """
    folder.mkdir()
    shutil.copyfile(_OURS, folder / "apollo-rt.txt")
    (folder / "model.txt").write_text(f"{card.name}: {card.licence}\n", encoding="utf-8")
    for name, path in _INSTALLED.items():
        if path.exists():
            shutil.copyfile(path, folder / name)
    for name in _OF_RUNTIME:
        for path in (library.parent / name, library.parent.parent / name):
            if path.exists():
                shutil.copyfile(path, folder / f"onnxruntime-{name.removesuffix('.txt')}.txt")
                break
