"""`python -m export plugin --model NAME|FILE --formats vst3,clap,lv2,ladspa --out DIR`."""

from collections.abc import Sequence
from pathlib import Path

import click

from apollo_rt.control.parameter_table import PARAMETERS
from apollo_rt.control.presets import read_preset
from apollo_rt.errors import ApolloError
from apollo_rt.inference.model_file import read_model_file
from apollo_rt.inference.model_library import find_model
from apollo_rt.inference.probe import probe_model
from export.plugin.bundles import FORMATS, PluginBuild
from export.plugin.facts import Presets
from export.plugin.onnx_library import installed_library


def _formats(_context: click.Context, _option: click.Parameter, text: str) -> list[str]:
    names = text.split(",")
    if not set(names) <= set(FORMATS):
        raise click.BadParameter(f"must be some of {','.join(FORMATS)}, with commas between, got {text}")
    return names


@click.command()
@click.option("--model", help="Name of a model or its file; the one that ships with the package otherwise.")
@click.option("--formats", default=",".join(FORMATS), show_default=True, callback=_formats, help="What to build.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder to build below, in .vst3, .clap, .lv2 and .ladspa: your home folder is where hosts look.",
)
@click.option("--name", default="Apollo RT", show_default=True, help="As hosts show it; another name, another plugin.")
@click.option(
    "--preset",
    "preset_files",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A preset that becomes a factory preset of VST3 and LV2; may be given several times.",
)
@click.option(
    "--runtime",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="ONNX Runtime's C library to ship; the installed package's otherwise.",
)
@click.option("--overwrite", is_flag=True, help="Replace bundles that are there already.")
def plugin(
    model: str | None,
    formats: Sequence[str],
    out: Path,
    name: str,
    preset_files: Sequence[Path],
    runtime: Path | None,
    overwrite: bool,
) -> None:
    """Build plugins that hosts load, without Python, of a model: VST3, CLAP, LV2 and LADSPA, stereo and mono."""
    try:
        file = read_model_file(find_model(model))
        probe_model(file)
        build = PluginBuild(file, runtime or installed_library(), name, _presets(preset_files))
        for path in build.write(formats, out, overwrite):
            click.echo(path)
    except ApolloError as error:
        raise click.ClickException(str(error)) from error


def _presets(files: Sequence[Path]) -> Presets:
    """Every parameter's value in each preset, by the preset's name."""
    defaults = {row.name: row.default for row in PARAMETERS}
    return {file.stem: defaults | read_preset(file, PARAMETERS)[0] for file in files}
