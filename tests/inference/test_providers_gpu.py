"""What only a GPU can show. Each test is skipped, with the reason, where ONNX Runtime can't use one.

`pytest -m gpu` on a machine with an NVIDIA GPU and `pip install -e ".[test,tensorrt]"` runs them.
"""

import numpy as np
import pytest

from apollo_rt.errors import ProviderError
from apollo_rt.inference.accelerator import find_gpu
from apollo_rt.inference.execution_provider import engine_cache
from apollo_rt.inference.model import Model, load
from apollo_rt.inference.model_file import default_model_path
from apollo_rt.inference.onnx_c_api import runtime
from apollo_rt.inference.provider import Provider, is_prepared, parse_provider
from apollo_rt.live.endpoints.file_feed import Nowhere, Silence
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.stream.golden import golden_error_db, tolerance_db
from apollo_rt.stream.processor import Processor

pytestmark = pytest.mark.gpu

ALL = ["cuda", "cuda+graph", "tensorrt", "tensorrt+graph", "tensorrt+fp16"]


@pytest.fixture
def loaded(request: pytest.FixtureRequest) -> Model:
    """The bundled model on the provider of the test's parameter, or a skip that says why not."""
    provider = parse_provider(request.param)
    assert provider is not None
    try:
        return load(default_model_path(), provider=provider)
    except ProviderError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("loaded", ALL, indirect=True)
def test_the_golden_pair_comes_out(loaded: Model) -> None:
    error_db = golden_error_db(loaded)
    print(f"{loaded.provider} on {find_gpu().name}: {error_db:.1f} dB")
    assert error_db <= tolerance_db(loaded.provider, loaded.card.weight_bits)


@pytest.mark.parametrize("loaded", ALL, indirect=True)
def test_the_provider_runs_all_nodes(loaded: Model) -> None:
    (session,) = [loaded._session]
    assert set(session.assignment) == {loaded.provider.ort_name}  # type: ignore[union-attr]


@pytest.mark.parametrize("loaded", ["cuda+graph", "tensorrt+graph"], indirect=True)
def test_recorded_graphs_keep_two_processors_apart(loaded: Model) -> None:
    random = np.random.default_rng(0)
    hops = (0.1 * random.standard_normal((40, loaded.framing.hop_length, 2))).astype(np.float32)
    first, second, alone = (Processor(loaded) for _ in range(3))
    expected = [alone.process(hop) for hop in hops]
    for index, hop in enumerate(hops):
        second.process(hops[-1 - index])
        np.testing.assert_array_equal(first.process(hop), expected[index])


@pytest.mark.parametrize("loaded", ["tensorrt"], indirect=True)
def test_an_engine_is_built_once(loaded: Model) -> None:
    folder = engine_cache(runtime(), loaded.provider, loaded.card.path.read_bytes())
    assert is_prepared(folder)
    engines = {path: path.stat().st_mtime_ns for path in folder.glob("*.engine")}
    load(loaded.card.path, provider=loaded.provider).close()
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.engine")} == engines


@pytest.mark.parametrize("loaded", ["cuda", "cuda+graph", "tensorrt+graph"], indirect=True)
def test_the_live_engine_restores_every_hop(loaded: Model) -> None:
    source, device = Silence(200 * loaded.framing.hop_length), VirtualDevice(loaded.framing.sample_rate, pace=False)
    with Engine(loaded, device, EngineSettings(), source, Nowhere()) as engine:
        engine.wait()
        assert engine.snapshot().model_errors == 0


def test_more_memory_than_there_is_is_said_in_figures() -> None:
    try:
        gpu = find_gpu()
    except Exception as error:  # whatever the reason, it is the skip's
        pytest.skip(str(error))
    from apollo_rt.inference.execution_provider import reason

    assert f"of {gpu.memory >> 20} MiB" in reason(Provider("cuda"), "CUDA failure 2: out of memory")
