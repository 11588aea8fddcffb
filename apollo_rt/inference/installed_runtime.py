"""ONNX Runtime is installed as one of two packages: both fill one folder, where the last one wins in silence."""

from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

from apollo_rt.inference.execution_provider import available_providers
from apollo_rt.inference.onnx_c_api import LibraryMissingError, runtime

WITH_GPU, WITHOUT_GPU = "onnxruntime-gpu", "onnxruntime"
_ENDING = "ExecutionProvider"


def installed_packages() -> dict[str, str]:
    """Versions of ONNX Runtime's packages that are installed, by name."""
    found = {}
    for name in (WITH_GPU, WITHOUT_GPU):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def runtime_lines() -> Iterator[str]:
    """Lines on which package is there, what its library can use, and how to mend a mixed installation."""
    packages = installed_packages()
    try:
        library, providers = runtime().version, available_providers(runtime())
    except LibraryMissingError as error:
        library, providers = f"no library ({error})", ()
    yield from lines_of(packages, library, providers)


def lines_of(packages: Mapping[str, str], library: str, providers: tuple[str, ...]) -> Iterator[str]:
    """As `runtime_lines`, of what was found.

    Args:
        packages: versions by name.
        library: its version, or what is wrong with it.
        providers: what it was built with, by ONNX Runtime's names.
    """
    names = " and ".join(f"{name} {number}" for name, number in packages.items()) or "no package that pip knows of"
    built_for = ", ".join(provider.removesuffix(_ENDING) for provider in providers) or "nothing"
    yield f"inference    ONNX Runtime {library} of {names}, for {built_for}"
    if len(packages) > 1:
        has_gpu = f"CUDA{_ENDING}" in providers
        yield (
            f"             mixed: both packages fill one folder, and what lies there now is "
            f"{'the one for GPUs' if has_gpu else 'the one without GPUs'}; to mend it: pip uninstall -y {WITH_GPU} "
            f"{WITHOUT_GPU}, then pip install the one you want"
        )
