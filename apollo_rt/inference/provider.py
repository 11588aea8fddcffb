"""Execution providers of ONNX Runtime run a model: here they have their names, options and cache keys.

`cpu`, `cuda`, `tensorrt`, with options behind a plus sign: `tensorrt+fp16+graph`. Nothing here needs a GPU or the
library: what a machine has is in `accelerator`, what a session was really given in `execution_provider`.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple, cast

from apollo_rt.atomic_file import write_whole
from apollo_rt.own_folders import own_folder

ProviderName = Literal["cpu", "cuda", "tensorrt"]
NAMES: Final = ("auto", "cpu", "cuda", "tensorrt")
OPTIONS: Final = {"fp16": ("tensorrt",), "graph": ("cuda", "tensorrt")}
"""Which providers take which option."""

ORT_NAMES: Final[dict[str, str]] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}

_WORKSPACE_BYTES = 256 * 2**20
_MEMORY_BYTES = 1 * 2**30
"""What the CUDA provider may take at most: models are a few MB; a runaway must not take the display's memory."""

_PREPARED = "prepared.json"


@dataclass(frozen=True)
class Provider:
    """A provider that runs the model's nodes.

    Attributes:
        name: of the provider.
        fp16: TensorRT may compute in half precision where that is faster; `build-engine` measures what it costs.
        cuda_graph: a step is one launch of a recorded graph instead of one launch per node.
        device: number of the GPU.
    """

    name: ProviderName = "cpu"
    fp16: bool = False
    cuda_graph: bool = False
    device: int = 0

    def __str__(self) -> str:
        """As `parse_provider` takes it."""
        return self.name + "+fp16" * self.fp16 + "+graph" * self.cuda_graph

    @property
    def ort_name(self) -> str:
        """Name of the provider in ONNX Runtime."""
        return ORT_NAMES[self.name]


CPU: Final = Provider()


class CacheKey(NamedTuple):
    """All on which a built TensorRT engine depends; where one differs, the engine is another.

    Attributes:
        gpu: name and compute capability.
        tensorrt: version of the library.
        onnx_runtime: version of the library.
        model: SHA-256 of the serialised model that the session is given.
        fp16: as in `Provider`.
    """

    gpu: str
    tensorrt: str
    onnx_runtime: str
    model: str
    fp16: bool

    @property
    def digest(self) -> str:
        """Twenty hexadecimal digits for all of it."""
        return hashlib.sha256(json.dumps(self).encode()).hexdigest()[:20]


def parse_provider(text: str) -> Provider | None:
    """Read `NAME[+OPTION...]`; None stands for `auto`.

    Raises:
        ValueError: there is no such provider, or it doesn't take the option.
    """
    name, *options = text.lower().split("+")
    if name not in NAMES:
        raise ValueError(f"provider must be {', '.join(NAMES[:-1])} or {NAMES[-1]}, got {text!r}")
    for option in options:
        if name not in OPTIONS.get(option, ()):
            takers = [f"{taker}+{known}" for known, names in OPTIONS.items() for taker in names]
            raise ValueError(f"provider {name} takes no option {option!r} in {text!r}; there are {', '.join(takers)}")
    if name == "auto":
        return None
    return Provider(cast("ProviderName", name), fp16="fp16" in options, cuda_graph="graph" in options)


def cuda_options(provider: Provider) -> dict[str, str]:
    """Options of the CUDA provider (onnxruntime.ai, CUDA Execution Provider; keys read from the library)."""
    options = {
        "device_id": provider.device,
        "gpu_mem_limit": _MEMORY_BYTES,
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",  # an exhaustive search takes seconds at every start
        "do_copy_in_default_stream": 1,
        "use_tf32": 0,  # its mantissa of 10 bits would make an error of -60 dB
        "enable_cuda_graph": int(provider.cuda_graph and provider.name == "cuda"),
    }
    return {key: str(value) for key, value in options.items()}


def tensorrt_options(provider: Provider, cache: Path) -> dict[str, str]:
    """Options of the TensorRT provider (onnxruntime.ai, TensorRT Execution Provider; keys read from the library).

    Args:
        provider: as asked for.
        cache: folder of this engine and of its timings, see `cache_folder`.
    """
    options = {
        "device_id": provider.device,
        "trt_max_workspace_size": _WORKSPACE_BYTES,
        "trt_fp16_enable": int(provider.fp16),
        "trt_layer_norm_fp32_fallback": int(provider.fp16),  # sums of squares overflow in half precision
        "trt_engine_cache_enable": 1,
        "trt_engine_cache_path": cache,
        "trt_engine_cache_prefix": "apollo_rt",
        "trt_timing_cache_enable": 1,
        "trt_timing_cache_path": cache,
        "trt_builder_optimization_level": 5,  # built once, run 172 times a second
        "trt_cuda_graph_enable": int(provider.cuda_graph),
    }
    return {key: str(value) for key, value in options.items()}


def cache_folder(key: CacheKey, root: Path | None = None) -> Path:
    """Folder of the engine of a key and its timings, made ready with the key in words beside them.

    Args:
        key: see there.
        root: None for the user's cache folder.
    """
    folder = (root or own_folder("cache") / "tensorrt") / key.digest
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "key.json", json.dumps(key._asdict(), indent=2) + "\n")
    return folder


def is_prepared(folder: Path) -> bool:
    """Whether the engine in a folder was built to its end, and is still there."""
    return (folder / _PREPARED).is_file() and any(folder.glob("*.engine"))


def mark_prepared(folder: Path, provider: Provider) -> None:
    """Say that a session was made of a folder: what is left of a build that was broken off is never taken for one."""
    write_whole(folder / _PREPARED, json.dumps(asdict(provider)) + "\n")
