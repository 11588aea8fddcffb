"""The benchmarks' own parts: what they say of times, what they save, and what becomes of it."""

import ctypes
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from apollo_rt.inference.model import load
from apollo_rt.live.monitoring.durations import Durations
from apollo_rt.live.realtime.counters import make_stats, record
from apollo_rt.stream.processor import Processor
from benchmarks.__main__ import main
from benchmarks.measuring import machine
from benchmarks.measuring.extent import FULL, QUICK
from benchmarks.measuring.load import LOADS
from benchmarks.measuring.recording_device import RecordingDevice
from benchmarks.measuring.times import Replay, Times, jitter_facts
from benchmarks.report import readme
from benchmarks.report.runs import read_json, read_runs, reduced
from benchmarks.report.tables import markdown, text
from benchmarks.rivals.plain import DequeRing, PlainProcessor, QueueOfBlocks
from tests import ROOT
from tests.doubles import tiny_models
from tests.doubles.stepped import PA_CALLBACK

BENCHMARK = """
import numpy as np
import pytest
from benchmarks.measuring.note import note
from benchmarks.measuring.times import REPLAY, Times, jitter_facts

@pytest.mark.benchmark(group="real cadence", timer=REPLAY)
@pytest.mark.parametrize("load", ["quiet", "all cores busy"])
def test_events(benchmark, load):
    times = Times({scale} * np.linspace(0.001, 0.009, 2000), 0.008)
    REPLAY.play(benchmark, times)
    note(benchmark, "cadence", "engine", times, load=load, missed_hops=3, ran_dry=0, seconds=11.6,
         callback_ms=times.percentiles_ms, **jitter_facts(times.seconds))

@pytest.mark.benchmark(group="parts")
@pytest.mark.parametrize("name", ["ours", "numpy"])
def test_part(benchmark, name):
    assert benchmark.pedantic(sum, (range(10),), rounds=50) == 45
    note(benchmark, "micro", name, deadline_s=0.001)
"""


# --- times -----------------------------------------------------------------------------------------------------------


def test_percentiles_are_those_of_the_events_and_left_out_where_no_event_lies_beyond():
    times = Times(np.arange(1, 1001) / 1e3, deadline_s=0.9)
    assert times.percentiles_ms["p50"] == pytest.approx(500.5)
    assert times.percentiles_ms["p99.9"] == pytest.approx(999.0, abs=1)
    assert times.percentiles_ms["p99.99"] is None
    assert times.percentiles_ms["max"] == 1000.0
    assert Times(np.arange(10_000)).percentiles_ms["p99.99"] is not None
    assert (times.misses, times.load_percent) == (100, 55.6)
    assert times.facts()["events"] == 1000


def test_without_a_deadline_nothing_is_missed_and_there_is_no_load():
    facts = Times(np.ones(3)).facts()
    assert facts["deadline_ms"] is facts["misses"] is facts["load_percent"] is None


def test_a_histogram_of_the_engine_gives_times_that_are_at_most_a_bin_too_long():
    durations_ms = np.random.default_rng(0).uniform(0.5, 5.0, 3000)
    histogram = make_stats().step_ns
    for duration in durations_ms:
        record(histogram, int(duration * 1e6))
    times = Times.of_histogram(Durations.of(histogram))
    ratio = 1e3 * times.seconds / np.sort(durations_ms)
    assert len(times.seconds) == 3000
    assert 0.9999 < ratio.min() <= ratio.max() < 1.046
    assert 1e3 * times.seconds.max() == pytest.approx(durations_ms.max(), rel=1e-5)


def test_the_tail_rises_to_the_longest_event_that_it_can_tell():
    shares, values = np.array(Times(np.random.default_rng(0).exponential(1e-3, 20_000)).tail()).T
    assert (np.diff(shares) > 0).all()
    assert (np.diff(values) >= 0).all()
    assert shares[-1] == pytest.approx(1 - 1 / 20_000, abs=5e-5)


def test_jitter_keeps_the_worst_of_every_stretch():
    late_s = np.zeros(10_000)
    late_s[5000] = 0.25
    timeline = jitter_facts(late_s)["jitter_timeline_ms"]
    assert len(timeline) == 400
    assert sorted(timeline)[-2:] == [0.0, 250.0]


def test_a_replay_shows_each_duration_between_two_looks_at_the_clock():
    replay = Replay()

    class Benchmark:
        def pedantic(self, target, rounds):
            self.seen = [-replay() + replay() for _ in range(rounds)]

    benchmark = Benchmark()
    replay.play(benchmark, Times(np.array([0.5, 0.25])))
    assert benchmark.seen == [0.5, 0.25]


# --- machine, loads, device ------------------------------------------------------------------------------------------


def test_the_machine_says_what_figures_depend_on():
    facts = machine.facts()
    assert {"cpu", "cores", "governor", "memory_gb", "system", "virtual", "load_average", "commit"} <= facts.keys()
    assert {"Python", "numpy", "numba", "onnxruntime-gpu", "torch"} & machine.versions().keys() >= {"Python", "numpy"}
    assert facts["cpu"] in machine.line()
    assert re.fullmatch(r"[0-9a-f]{64}", machine.model_facts(load())["sha256"])
    assert 10 < machine.resident_mb() < 50_000


@pytest.mark.parametrize("name", [name for name in LOADS if name != "garbage collection"])
def test_a_load_ends_with_its_block(name):
    before = threading.active_count()
    with LOADS[name]():
        time.sleep(0.05)
    assert threading.active_count() == before


def test_the_recording_device_calls_once_a_block_and_notes_how_late_and_how_long():
    source = np.random.default_rng(0).standard_normal((10 * 256, 2)).astype(np.float32)

    @PA_CALLBACK
    def callback(source, target, n_samples, *_):
        time.sleep(0.002)
        ctypes.memmove(target, source, 8 * n_samples)
        return 0

    device = RecordingDevice(source, 256, 44_100)
    device.start(ctypes.cast(callback, ctypes.c_void_p).value, 0)
    while not device.is_done:
        time.sleep(0.005)
    assert device.active
    device.stop()
    assert not device.active
    np.testing.assert_array_equal(device.played, source)
    assert (device.spent_ns > 2e6).all()
    assert (device.late_ns >= 0).all()


def test_the_plain_way_gives_what_ours_gives(tmp_path):
    model = load(tiny_models.busy(tmp_path))
    ours, plain = Processor(model), PlainProcessor(model)
    hops = np.random.default_rng(0).standard_normal((30, model.framing.hop_length, 2)).astype(np.float32)
    for hop in hops:
        np.testing.assert_allclose(plain.process(hop), ours.process(hop), atol=1e-5)


@pytest.mark.parametrize("make", [DequeRing, QueueOfBlocks])
def test_a_ring_of_python_gives_back_what_was_put_in(make):
    ring, out = make(1024), np.zeros((4, 2), np.float32)
    first, second = np.arange(16, dtype=np.float32).reshape(2, 4, 2)
    ring.put(first)
    ring.put(second)
    ring.take(out)
    np.testing.assert_array_equal(out, first)


def test_a_quick_run_takes_less_of_everything():
    for name, values in QUICK.lists.items():
        assert set(values) <= set(FULL.lists[name])
    assert QUICK.n_hops < FULL.n_hops / 10
    assert FULL.n_hops >= 10_000  # else there is no p99.99


# --- saved runs ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> list[Path]:
    """Two runs, the second half as fast again, saved as pytest-benchmark saves runs."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "conftest.py").write_text("from benchmarks.conftest import pytest_benchmark_update_machine_info\n")
    for name, scale in (("before", 1.0), ("after", 1.5)):
        file = folder / "test_small.py"
        file.write_text(BENCHMARK.replace("{scale}", str(scale)))
        command = [
            sys.executable,
            "-m",
            "pytest",
            file,
            "-q",
            "--benchmark-only",
            "-p",
            "no:cacheprovider",
            "-c",
            "/dev/null",
        ]
        options = [f"--benchmark-storage=file://{folder}", f"--benchmark-save={name}", f"--rootdir={folder}"]
        # Beside another worker pytest-benchmark would measure nothing; the run inside is alone.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
        environment = inherited | {"PYTHONPATH": str(ROOT)}
        subprocess.run([*command, *options], cwd=folder, env=environment, check=True, capture_output=True)
    return sorted(folder.glob("*/0*.json"))


def test_the_comparison_of_pytest_benchmark_works_on_saved_runs(saved):
    command = [sys.executable, "-m", "pytest_benchmark", "compare", *map(str, saved), "--columns=median,rounds"]
    done = subprocess.run([*command, "--group-by=name"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"test_events\[quiet\] \((\S+)\) +([\d.]+) \(([\d.]+)\) +(\d+)", done.stdout)
    assert {(name.split("_")[1], float(ratio), int(rounds)) for name, _, ratio, rounds in rows} == {
        ("before", 1.0, 2000), ("after", 1.5, 2000),
    }  # fmt: skip


def test_a_saved_run_carries_percentiles_deadline_load_machine_versions_and_model(saved):
    entry = read_runs(saved[:1])[0].of("cadence")[0]
    assert entry.percentiles_ms["p50"] == pytest.approx(5.0, abs=0.01)
    assert (entry.deadline_ms, entry.load, entry.events) == (8.0, "quiet", 2000)
    assert entry.misses == 250
    assert "load average" in entry.machine
    assert entry.versions["numpy"]
    content = read_json(saved[0])
    assert content["machine_info"]["apollo_rt"]["cpu"] == machine.cpu_name()
    assert "model" in content["benchmarks"][0]["extra_info"]


def test_our_comparison_tells_how_percentiles_changed(saved):
    done = CliRunner().invoke(main, ["compare", *map(str, saved)])
    assert done.exit_code == 0, done.output
    ratios = re.findall(r"\| (1\.50|1\.49|1\.51) \|", done.output)
    assert len(ratios) >= 2
    assert "Not the same" not in done.output


def test_our_comparison_tells_that_the_machine_is_another(saved, tmp_path):
    content = read_json(saved[1])
    content["machine_info"]["apollo_rt"]["cpu"] = "another"
    (tmp_path / "other.json").write_text(json.dumps(content))
    done = CliRunner().invoke(main, ["compare", str(saved[0]), str(tmp_path / "other.json")])
    assert f"- cpu: {machine.cpu_name()} in" in done.output


def test_a_report_is_two_pages_of_which_the_html_holds_everything(saved, tmp_path):
    out = tmp_path / "report"
    done = CliRunner().invoke(main, ["report", *map(str, saved), "--out", str(out)])
    assert done.exit_code == 0, done.output
    page, html = (out / "report.md").read_text(), (out / "report.html").read_text()
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", page)
    assert {"tail_curves_1.png", "jitter_timeline_2.png"} <= set(pictures)
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    assert html.count("<img") == len(pictures)
    assert not re.findall(r'(?:src|href)="(?!data:)', html)
    assert html.count("<table>") >= 3
    assert not list(out.glob(".*"))


def test_a_file_that_is_no_run_is_refused_in_one_line(tmp_path):
    for content in ("no JSON", "{}", '{"benchmarks": [], "machine_info": {}, "datetime": "2026-01-01"}'):
        (tmp_path / "run.json").write_text(content)
        done = CliRunner().invoke(main, ["report", str(tmp_path / "run.json"), "--out", str(tmp_path / "out")])
        assert done.exit_code == 1
        assert done.output.count("\n") == 1
        assert "run.json" in done.output
    assert not (tmp_path / "out").exists()


def test_a_reduced_run_is_still_a_run(saved, tmp_path):
    small = reduced(read_json(saved[0]))
    (tmp_path / "small.json").write_text(json.dumps(small))
    whole, kept = read_runs([saved[0], tmp_path / "small.json"])
    assert [entry.percentiles_ms for entry in whole.entries] == [entry.percentiles_ms for entry in kept.entries]
    assert len(json.dumps(small)) < 0.7 * len(saved[0].read_text())


def test_tables_show_values_as_people_read_them_and_no_empty_columns():
    values = (None, True, 0.0, 0.00012, 0.0456, 1.234, 12.34, 123.4, 12345.6, 12345)
    assert [text(value) for value in values] == [
        "-",
        "yes",
        "0",
        "0.00012",
        "0.046",
        "1.23",
        "12.3",
        "123",
        "12 346",
        "12 345",
    ]
    assert markdown([{"a": 1, "b": None}, {"a": 2, "c": "x"}]) == "| a | c |\n|---|---|\n| 1 | - |\n| 2 | x |"


# --- the README ------------------------------------------------------------------------------------------------------


def test_the_readme_says_what_the_kept_run_says():
    assert not readme.fill(write=False), "run `python -m benchmarks readme`"


def test_a_figure_that_was_changed_by_hand_is_noticed_and_put_right(tmp_path):
    page, other = (tmp_path / path.name for path in readme.PAGES)
    before = readme.PAGES[0].read_text()
    page.write_text(re.sub(r"\*\*\d+\.\d ms\*\*", "**1.0 ms**", before))
    other.write_text(readme.PAGES[1].read_text())
    assert page.read_text() != before
    assert readme.fill([page, other], write=False)
    assert readme.fill([page, other])
    assert page.read_text() == before


def test_a_readme_that_lacks_a_place_or_has_an_unknown_one_is_refused(tmp_path):
    page = tmp_path / "page.md"
    for content in ("nothing", readme.PAGES[1].read_text().replace("figures: cadence", "figures: cadenza")):
        page.write_text(content)
        with pytest.raises(ValueError, match="cadence"):
            readme.fill([readme.PAGES[0], page])


def test_a_run_that_lacks_what_the_readme_says_is_not_kept(saved, tmp_path):
    kept = tmp_path / "kept.json"
    with pytest.raises(ValueError, match="take a full run"):
        readme.keep(saved, kept)
    assert list(tmp_path.iterdir()) == []


def test_parts_of_a_run_are_kept_together_the_last_of_each_benchmark(tmp_path):
    content = read_json(readme.KEPT)
    parts = [tmp_path / name for name in ("one.json", "other.json", "newer.json")]
    newer = json.loads(json.dumps(content["benchmarks"][1]))
    newer["extra_info"]["events"] = 4711
    for part, benchmarks in zip(parts, (content["benchmarks"][:5], content["benchmarks"][5:], [newer]), strict=True):
        part.write_text(json.dumps(content | {"benchmarks": benchmarks}))
    readme.keep(parts, tmp_path / "kept.json")
    (whole,), (kept,) = read_runs([readme.KEPT]), read_runs([tmp_path / "kept.json"])
    assert [entry.name for entry in kept.entries] == [entry.name for entry in whole.entries]
    assert kept.entries[1].events == 4711
    assert kept.entries[0] == whole.entries[0]


def test_parts_of_different_machines_are_not_kept_together(tmp_path):
    content = read_json(readme.KEPT)
    content["machine_info"]["apollo_rt"]["cpu"] = "another"
    (tmp_path / "other.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"one processor, got .*another"):
        readme.keep([readme.KEPT, tmp_path / "other.json"], tmp_path / "kept.json")
