"""Plugin bundles: code for each format, and beside it model, ONNX Runtime's library and licences.

    DIR/.vst3/ApolloRT.vst3/Contents/x86_64-linux/ApolloRT.so     ../Resources/...
    DIR/.clap/apollo_rt/ApolloRT.clap                             beside it
    DIR/.lv2/apollo_rt.lv2/apollo_rt.so                           beside it
    DIR/.ladspa/apollo_rt.so                                      in apollo_rt/

Each bundle is whole by itself. What they share is one file with several names (hard links), on the disk and, since the
loader tells files by their number, in a process that has opened several formats. `DIR` is a home folder, or is copied
into one by `cp -a`, which keeps that.
"""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from apollo_rt.config import EDGES, WINDOWS
from apollo_rt.errors import ExistingFileError, ModelFileError
from apollo_rt.inference.model_file import ModelFile
from export.plugin.compiler import FRAMEWORK, compile_all, compile_heart, link
from export.plugin.facts import LIBRARY_FILE, MODEL_FILE, Facts, Presets, presets_header, programs_of
from export.plugin.framework import mended_copy
from export.plugin.licences import write_licences
from export.plugin.turtle import documents

FORMATS = ("vst3", "clap", "lv2", "ladspa")
_SOURCES = Path(__file__).parent / "formats"
_LICENCES = "licences"


class Bundle(NamedTuple):
    """A format's place: what is installed, as paths below the folder of all, and where code and resources lie in it."""

    entries: tuple[Path, ...]
    binaries: tuple[Path, ...]  # stereo, and mono where it is a file of its own
    resources: tuple[Path, ...]


def bundle_of(format_name: str, facts: Facts) -> Bundle:
    """The place of a format."""
    name, symbol = facts.file_name, facts.symbol
    if format_name == "vst3":
        entries = tuple(Path(f".vst3/{each}.vst3") for each in (name, f"{name}Mono"))
        code = f"Contents/{platform.machine()}-linux"
        binaries = tuple(entry / code / f"{entry.stem}.so" for entry in entries)
        return Bundle(entries, binaries, tuple(entry / "Contents/Resources" for entry in entries))
    if format_name == "clap":
        entry = Path(f".clap/{symbol}")
        return Bundle((entry,), tuple(entry / f"{each}.clap" for each in (name, f"{name}Mono")), (entry,))
    if format_name == "lv2":
        entry = Path(f".lv2/{symbol}.lv2")
        return Bundle((entry,), (entry / f"{symbol}.so",), (entry,))
    binary, resources = Path(f".ladspa/{symbol}.so"), Path(f".ladspa/{symbol}")
    return Bundle((binary, resources), (binary,), (resources,))


class PluginBuild:
    """A build of bundles.

    Args:
        model: what they shall play.
        library: ONNX Runtime's C library.
        name: as hosts show it.
        presets: factory presets.
        flags: further ones for the compiler, such as a sanitizer's.

    Raises:
        ModelFileError: the model's frames are none that the C++ code makes.
        PluginNameError: the name can't be one of a plugin.
    """

    def __init__(
        self, model: ModelFile, library: Path, name: str, presets: Presets | None = None, flags: Sequence[str] = ()
    ) -> None:
        framing = model.card.framing
        if (framing.window, framing.edges) != (WINDOWS[0], EDGES[0]):
            raise ModelFileError(
                f"{model.card.path}: a plugin's model must have the window {WINDOWS[0]} and {EDGES[0]} edges, got "
                f"{framing.window} and {framing.edges}; restore files with it (`apollo-rt restore --model`)"
            )
        self._model, self._library, self._presets = model, library, presets or {}
        self._flags = tuple(flags)
        self.facts = Facts(name, model.card.licence, model.card.framing)

    def write(self, formats: Iterable[str], folder: Path, overwrite: bool = False) -> list[Path]:
        """Build the bundles of some formats below a folder; returns what lies there then.

        Raises:
            CompilerError: a tool is missing, or the compiler refuses.
            ExistingFileError: one is there, and is not to be replaced.
        """
        bundles = {name: bundle_of(name, self.facts) for name in FORMATS if name in set(formats)}
        entries = [folder / entry for bundle in bundles.values() for entry in bundle.entries]
        for entry in entries:
            if os.path.lexists(entry) and not overwrite:
                raise ExistingFileError(f"{entry}: is there already; --overwrite replaces it")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as scratch:
            built = Path(scratch) / "built"
            self._compile(bundles, Path(scratch), built)
            self._furnish(bundles, built)
            for entry in entries:
                _replace(built / entry.relative_to(folder), entry)
        return entries

    def _compile(self, bundles: dict[str, Bundle], scratch: Path, built: Path) -> None:
        (scratch / "facts.hpp").write_text(self.facts.header(), encoding="utf-8")
        (scratch / "presets.hpp").write_text(presets_header(programs_of(self._presets)), encoding="utf-8")
        heart = compile_heart(scratch, self._flags)
        heart += compile_all([_SOURCES / "instance.cpp"], scratch, self._flags)
        framework = mended_copy(scratch) if bundles.keys() & {"vst3", "clap"} else FRAMEWORK
        for name, bundle in bundles.items():
            resources = os.path.relpath(bundle.resources[0], bundle.binaries[0].parent)
            for number, binary in enumerate(bundle.binaries):
                flags = [*self._flags, f'-DAPOLLO_RESOURCES="{resources}"', f"-I{framework}/src", f"-I{framework}"]
                if name in ("vst3", "clap"):
                    sources = [_SOURCES / "dpf/plugin.cpp", framework / "DistrhoPluginMain.cpp"]
                    flags += [f"-I{_SOURCES}", f"-I{_SOURCES / 'dpf'}", f"-DDISTRHO_PLUGIN_TARGET_{name.upper()}"]
                    flags += [f"-DN_CHANNELS={2 - number}", f"-DN_PRESETS={len(programs_of(self._presets))}", *_QUIET]
                else:
                    sources = [_SOURCES / f"{name}.cpp"]
                objects = compile_all(sources, _made(scratch / f"{name}-{number}"), [*flags, f"-I{scratch}"])
                link([*heart, *objects], built / binary, self._flags)

    def _furnish(self, bundles: dict[str, Bundle], built: Path) -> None:
        """Put beside the code what it needs, each file once with several names."""
        first: Path | None = None
        for name, bundle in bundles.items():
            for place in bundle.resources:
                folder = _made(built / place)
                if first is None:
                    first = folder
                    (folder / MODEL_FILE).write_bytes(self._model.content)
                    shutil.copyfile(self._library, folder / LIBRARY_FILE)
                    write_licences(folder / _LICENCES, self._model.card, self._library)
                else:
                    _link_tree(first, folder)
            if name == "lv2":
                for file_name, text in documents(self.facts, bundle.binaries[0].name, self._presets).items():
                    (built / bundle.resources[0] / file_name).write_text(text, encoding="utf-8")


_QUIET = (
    "-O1",  # what takes time is the heart
    "-Wno-unused-parameter",
    "-Wno-multichar",
    "-Wno-cast-function-type",
    "-Wno-deprecated-declarations",
)
"""Warnings of the framework's own sources."""


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _link_tree(source: Path, target: Path) -> None:
    """Give the resources of one bundle further names in another."""
    for path in (source / MODEL_FILE, source / LIBRARY_FILE, *(source / _LICENCES).iterdir()):
        name = target / path.relative_to(source)
        name.parent.mkdir(exist_ok=True)
        try:
            name.hardlink_to(path)
        except OSError:  # a file system without hard links
            shutil.copyfile(path, name)


def _replace(new: Path, place: Path) -> None:
    """Put a file or folder in its place."""
    remove: Callable[[Path], object] = shutil.rmtree if place.is_dir() and not place.is_symlink() else os.unlink
    if os.path.lexists(place):
        remove(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    new.rename(place)
