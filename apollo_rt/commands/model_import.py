"""`apollo-rt model import`: a model file or a checkpoint, from a file or an address, into the user's own models."""

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from apollo_rt.atomic_file import whole_path
from apollo_rt.console.say import say
from apollo_rt.errors import ApolloError, ModelFileError
from apollo_rt.existing import refuse_existing
from apollo_rt.system.child_process import child_environment

_MOST_BYTES = 2**30
"""A checkpoint of the largest Apollo that can be a model file, with an optimiser beside its weights."""

_CHECKPOINT_STARTS = (b"PK\x03\x04", b"\x80")
"""Of what PyTorch writes: a zip archive, or a pickle, as it did before 1.6."""

_UNKNOWN = "not said; it is that of whoever made the checkpoint"


@click.command("import")
@click.argument("source", metavar="URL|FILE")
@click.option("--name", help="What the model shall be called; the source's name.")
@click.option("--sha256", help="What the hash must be; without it the hash is shown.")
@click.option("--licence", help="Licence of a checkpoint, which doesn't say its own; goes into the model file.")
@click.option("--accept-licence", is_flag=True, help="Accept the licence without being asked.")
@click.option("--overwrite", is_flag=True, help="Replace a model of that name.")
def import_model(
    source: str, name: str | None, sha256: str | None, licence: str | None, accept_licence: bool, overwrite: bool
) -> None:
    """Fetch a model file, or a checkpoint of the published Apollo, and put it among your models.

    Addresses must be https. A checkpoint is converted where PyTorch and the repository are; else you are told how.
    """
    from apollo_rt.inference.model_library import user_folder
    from apollo_rt.network.address import Address, place_of

    place = place_of(source)
    target = user_folder() / f"{_checked(name or Path(place.name).stem)}.onnx"
    refuse_existing(target, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=target.parent) as folder:
        path = _fetched(place.url, Path(folder)) if isinstance(place, Address) else place
        _check_hash(path, sha256)
        is_checkpoint = _begins_as_checkpoint(path)
        made = _accepted(path, licence, accept_licence, is_checkpoint)
        if is_checkpoint:
            path = _converted(path, Path(folder) / target.name, target.stem, made)
        with whole_path(target) as whole:
            whole.write_bytes(path.read_bytes())
    say(f"{target}: imported; use it with --model {target.stem}")


def _checked(name: str) -> str:
    if not name or name.startswith(".") or Path(name).name != name or not name.isprintable():
        raise click.UsageError(f"--name must be a file's name without folders, got {name!r}")
    return name


def _fetched(url: str, folder: Path) -> Path:
    from apollo_rt.network.download import download

    path = folder / "fetched"
    with path.open("wb") as file:
        download(url, file, _MOST_BYTES)
    return path


def _check_hash(path: Path, wanted: str | None) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read: {error.strerror or error}") from error
    if wanted is None:
        say(f"sha256 {found}; compare it with what its maker says, or give --sha256")
    elif found != wanted.strip().lower():
        raise ModelFileError(f"its SHA-256 is {found}, not {wanted.strip().lower()[:64]}: it is not what you asked for")


def _begins_as_checkpoint(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4).startswith(_CHECKPOINT_STARTS)


def _accepted(path: Path, licence: str | None, is_accepted: bool, is_checkpoint: bool) -> str:
    """The licence, which the user has accepted; a model file is checked and tried before it is asked for."""
    if not is_checkpoint:
        from apollo_rt.inference.model_file import read_model_file
        from apollo_rt.inference.probe import probe_model

        file = read_model_file(path)
        probe_model(file)
        licence = file.card.licence
    licence = licence or _UNKNOWN
    say(f"licence: {licence}")
    if not is_accepted and not click.confirm("Do you accept it?"):
        raise ApolloError("nothing was imported: the licence was not accepted (--accept-licence does)")
    return licence


def _converted(checkpoint: Path, out: Path, name: str, licence: str) -> Path:
    """The model file of a checkpoint, made and verified by a process of its own.

    Raises:
        ModelFileError: PyTorch or the exporter isn't there, or refuses the checkpoint.
    """
    options = ["--checkpoint", str(checkpoint), "--out", str(out), "--name", name, "--licence", licence]
    if missing := [part for part in ("torch", "export") if importlib.util.find_spec(part) is None]:
        raise ModelFileError(
            f"it is a checkpoint, and {' and '.join(missing)} can't be imported here: in a clone of the repository "
            f'with `pip install -e ".[train,export]"`, run `python -m export --checkpoint FILE --out {out.name}`, then '
            f"`apollo-rt model import {out.name}`"
        )
    command = [sys.executable, "-m", "export", *options]
    done = subprocess.run(  # noqa: S603  # our own module
        command, capture_output=True, text=True, check=False, env=child_environment()
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["the exporter failed"]
        raise ModelFileError(lines[-1].removeprefix("Error: ").replace(str(checkpoint), "the checkpoint"))
    say(done.stdout.strip().replace(str(out), out.name))
    return out
