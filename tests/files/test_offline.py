"""Restored files: as long as their source and aligned with it, equal to the stream, many at once, in bounded memory."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from apollo_rt.config import Framing
from apollo_rt.control.parameters import Parameters
from apollo_rt.errors import ExistingFileError
from apollo_rt.files import jobs
from apollo_rt.files.jobs import run_jobs
from apollo_rt.files.offline import restore_file, restore_with
from apollo_rt.files.output_format import OutputSettings
from apollo_rt.files.plan import Job, plan_jobs
from apollo_rt.inference.model import load
from apollo_rt.stream.restoration_stream import RestorationStream
from tests import ROOT
from tests.doubles import tiny_models
from tests.doubles.sound_files import tone, truncated_mp3, write

FLOATS = OutputSettings(float_wav=True)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Tiny models by name."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "identity": load(tiny_models.identity(folder)),
        "half": load(tiny_models.gain(folder, 0.5)),
        "late": load(tiny_models.delay_one_frame(folder)),
        "faulty": load(tiny_models.faulty(folder, level=0.1)),
    }


def stored(path):
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("n_samples", [0, 1, 63, 64, 65, 127, 8191, 65_536, 65_537])
def test_the_output_has_the_inputs_length_and_lies_upon_it(tmp_path, models, channels, n_samples):
    source = write(tmp_path / "in.wav", tone(n_samples, channels=channels), subtype="FLOAT")
    report = restore_file(source, tmp_path / "out.wav", models["identity"], output=FLOATS)
    assert (report.n_samples, report.channels, report.sample_rate) == (n_samples, channels, 44_100)
    np.testing.assert_allclose(stored(tmp_path / "out.wav"), tone(n_samples, channels=channels), atol=1e-6)


@pytest.mark.parametrize("sample_rate", [8000, 22_050, 44_099, 48_000, 96_000])
@pytest.mark.parametrize("n_samples", [1, 30_011])
def test_another_sample_rate_comes_back_at_the_same_rate_length_and_place(tmp_path, models, sample_rate, n_samples):
    source = write(tmp_path / "in.wav", tone(n_samples, sample_rate), sample_rate, subtype="FLOAT")
    kept = OutputSettings(float_wav=True, rate="keep")
    report = restore_file(source, tmp_path / "out.wav", models["identity"], output=kept)
    result = stored(tmp_path / "out.wav")
    assert (report.sample_rate, result.shape) == (sample_rate, (n_samples, 2))
    assert np.abs(result - tone(n_samples, sample_rate))[5000:-5000].max(initial=0) < 1e-5


def test_an_impulse_comes_out_where_it_went_in(tmp_path, models):
    impulse = np.zeros((20_000, 2), np.float32)
    impulse[12_345] = 0.5
    restore_file(write(tmp_path / "in.flac", impulse), tmp_path / "out.flac", models["half"])
    result = stored(tmp_path / "out.flac")
    assert result.argmax(axis=0).tolist() == [12_345, 12_345]
    np.testing.assert_allclose(result, impulse / 2, atol=1e-6)


def test_a_file_equals_the_stream_over_the_same_samples(tmp_path, models):
    """With a model that looks back, and a length that is no whole number of blocks."""
    samples = np.random.default_rng(1).uniform(-0.4, 0.4, (70_001, 2)).astype(np.float32)
    source = write(tmp_path / "in.wav", samples, subtype="FLOAT")
    restore_file(source, tmp_path / "out.wav", models["late"], output=FLOATS)
    stream = RestorationStream(models["late"])
    latency = stream.latency_samples
    expected = stream.process(np.concatenate((samples, np.zeros((latency, 2), np.float32))))[latency:]
    np.testing.assert_array_equal(stored(tmp_path / "out.wav"), expected)


def test_mix_lies_between_the_source_and_its_restoration(tmp_path, models):
    source = write(tmp_path / "in.wav", tone(30_000), subtype="FLOAT")
    for mix, gain in ((0.0, 1.0), (0.5, 0.75), (1.0, 0.5)):
        target = tmp_path / f"out {mix}.wav"
        restore_file(source, target, models["half"], mix=mix, output=FLOATS)
        result = stored(target)
        np.testing.assert_allclose(result, gain * tone(30_000), atol=0 if mix == 0 else 1e-6)


@pytest.mark.parametrize("mix", [-0.1, 1.1, float("nan")])
def test_a_mix_out_of_bounds_is_refused_before_anything_is_written(tmp_path, models, mix):
    source = write(tmp_path / "in.wav", tone(100))
    with pytest.raises(ValueError, match="mix must be from 0 to 1"):
        restore_file(source, tmp_path / "out.wav", models["identity"], mix=mix)
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_progress_ends_with_the_length_of_the_file(tmp_path, models):
    source = write(tmp_path / "in.flac", tone(200_000))
    seen = []
    restore_file(source, tmp_path / "out.wav", models["identity"], progress=lambda *now: seen.append(now))
    assert len(seen) >= 3
    assert seen == sorted(seen)
    assert seen[-1] == (200_000, 200_000)


def test_a_truncated_source_is_restored_as_far_as_it_decodes_and_reported(tmp_path, models):
    report = restore_file(truncated_mp3(tmp_path), tmp_path / "out.wav", models["identity"])
    assert len(stored(tmp_path / "out.wav")) == report.n_samples > 50_000
    assert "cut off" in report.warnings[0]


def test_what_the_model_spoils_and_what_clips_is_reported(tmp_path, models):
    loud = np.clip(4 * tone(44_100), -0.99, 0.99)
    report = restore_file(write(tmp_path / "in.wav", loud), tmp_path / "out.wav", models["faulty"])
    assert any("the model failed on" in warning for warning in report.warnings)
    source = write(tmp_path / "loud.wav", np.full((3000, 2), 3.0, np.float32), subtype="FLOAT")
    assert "clipped" in restore_file(source, tmp_path / "loud out.wav", models["half"]).warnings[-1]


def test_a_file_without_sound_gives_one_without_sound_and_says_so(tmp_path, models):
    for suffix in ("wav", "flac", "ogg", "mp3"):
        report = restore_file(write(tmp_path / "in.wav", tone(0)), tmp_path / f"out.{suffix}", models["identity"])
        assert "holds no sound" in report.warnings[0]
        assert (tmp_path / f"out.{suffix}").exists()


MEMORY_SCRIPT = """
import sys
import threading
from pathlib import Path
from apollo_rt.inference import model
from apollo_rt.files import offline
from apollo_rt.files.audio_writer import AudioWriter
from tests.doubles import tiny_models
from tests.doubles.sound_files import tone

folder = Path(sys.argv[1])
minute = tone(60 * 44_100)
with AudioWriter(folder / "in.wav", 44_100) as writer:
    for _ in range(10):
        writer.write(minute)
del minute
resident = []
statm = Path("/proc/self/statm")
offline.restore_file(folder / "in.wav", folder / "out.wav", model.load(folder / "identity.onnx"),
    progress=lambda done, _: resident.append((done, 4096 * int(statm.read_text().split()[1]))))
early = max(bytes for done, bytes in resident if done < 120 * 44_100)
print(early, max(bytes for _, bytes in resident))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads resident memory where Linux shows it")
def test_ten_minutes_need_no_more_memory_than_two(tmp_path):
    """Which bounds an hour; ten minutes held as samples would be 200 MB."""
    tiny_models.identity(tmp_path, Framing(hop_length=2048, analysis_length=4096))
    command = [sys.executable, "-c", MEMORY_SCRIPT, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    early, most = map(int, done.stdout.split())
    assert most - early < 10e6
    assert most < 1e9


def planned(inputs, output, **options):
    return plan_jobs(inputs, output, **options).jobs


class TestRun:
    def test_one_failure_does_not_stop_the_others(self, tmp_path, models):
        (tmp_path / "in" / "deep").mkdir(parents=True)
        write(tmp_path / "in" / "a.wav", tone(1000))
        (tmp_path / "in" / "b.wav").write_text("no music" * 100)
        write(tmp_path / "in" / "deep" / "c.wav", tone(2000))
        seen = []
        plan = planned([tmp_path / "in"], tmp_path / "out")
        outcomes = list(run_jobs(plan, models["identity"], progress=lambda job, *_: seen.append(job.source.name)))
        assert [outcome.report is not None for outcome in outcomes] == [True, False, True]
        assert "not an audio file" in outcomes[1].error
        assert seen[0] == "a.wav"
        assert seen[-1] == "c.wav"
        written = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
        assert written == ["a.flac", "deep/c.flac"]

    def test_a_failure_leaves_the_file_that_was_there(self, tmp_path, models):
        (tmp_path / "in.wav").write_text("no music" * 100)
        (tmp_path / "out.wav").write_text("what was here before")
        plan = planned([tmp_path / "in.wav"], tmp_path / "out.wav")
        (outcome,) = run_jobs(plan, models["identity"], existing="overwrite")
        assert "not an audio file" in outcome.error
        assert (tmp_path / "out.wav").read_text() == "what was here before"

    @pytest.mark.parametrize("threads", [1, 2])
    @pytest.mark.parametrize(
        "error", [ZeroDivisionError("by zero"), MemoryError(), UnicodeEncodeError("a", "b", 0, 1, "c")]
    )
    def test_an_error_of_any_kind_is_its_files_own(self, tmp_path, models, monkeypatch, error, threads):
        def broken(parameters, source, *arguments, **options):
            if source.name == "1.wav":
                raise error
            return restore_with(parameters, source, *arguments, **options)

        for number in range(3):
            write(tmp_path / f"{number}.wav", tone(1000))
        monkeypatch.setattr(jobs, "restore_with", broken)
        plan = planned([tmp_path / f"{number}.wav" for number in range(3)], tmp_path / "out")
        outcomes = {outcome.job.source.name: outcome for outcome in run_jobs(plan, models["identity"], threads=threads)}
        assert outcomes["0.wav"].report
        assert outcomes["2.wav"].report
        assert outcomes["1.wav"].error.startswith(f"{tmp_path / '1.wav'}: {type(error).__name__}")

    @pytest.mark.parametrize("threads", [1, 2])
    def test_who_interrupts_ends_the_run(self, tmp_path, models, threads):
        for number in range(3):
            write(tmp_path / f"{number}.wav", tone(1000))
        plan = planned([tmp_path / f"{number}.wav" for number in range(3)], tmp_path / "out")

        def interrupt(*_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(run_jobs(plan, models["identity"], progress=interrupt, threads=threads))
        assert not list((tmp_path / "out").iterdir())

    @pytest.mark.parametrize(("existing", "kinds"), [("error", "error"), ("skip", "left"), ("overwrite", "restored")])
    def test_what_is_there_is_refused_left_or_replaced_as_was_asked(self, tmp_path, models, existing, kinds):
        for number in range(3):
            write(tmp_path / f"{number}.wav", tone(1000))
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "1.flac").write_text("what was here before")
        plan = planned([tmp_path / f"{number}.wav" for number in range(3)], tmp_path / "out")
        outcomes = {
            outcome.job.source.name: outcome for outcome in run_jobs(plan, models["identity"], existing=existing)
        }
        assert outcomes["0.wav"].report
        assert outcomes["2.wav"].report
        met = outcomes["1.wav"]
        assert {"error": met.error is not None, "left": met.is_left, "restored": met.report is not None} == {
            kind: kind == kinds for kind in ("error", "left", "restored")
        }
        assert (kinds == "restored") == ((tmp_path / "out" / "1.flac").read_bytes()[:4] == b"fLaC")

    def test_what_comes_while_it_runs_is_not_replaced_either(self, tmp_path, models):
        for number in range(2):
            write(tmp_path / f"{number}.wav", tone(1000))
        plan = planned([tmp_path / f"{number}.wav" for number in range(2)], tmp_path / "out")
        outcomes = run_jobs(plan, models["identity"], existing="skip")
        assert next(outcomes).report
        plan[1].target.write_text("another run was here")
        assert next(outcomes).is_left
        assert plan[1].target.read_text() == "another run was here"

    @pytest.mark.parametrize("threads", [1, 3])
    def test_several_threads_restore_the_same(self, tmp_path, models, threads):
        (tmp_path / "in").mkdir()
        for number in range(5):
            write(tmp_path / "in" / f"{number}.wav", tone(3000 + 1000 * number), subtype="FLOAT")
        seen = []
        plan = planned([tmp_path / "in"], tmp_path / "out", suffix=".wav")
        outcomes = list(
            run_jobs(plan, models["half"], progress=lambda *now: seen.append(now), output=FLOATS, threads=threads)
        )
        assert {outcome.job for outcome in outcomes} == set(plan)
        assert {(job, done) for job, done, total in seen if done == total} == {
            (job, 3000 + 1000 * number) for number, job in enumerate(plan)
        }
        for number, job in enumerate(plan):
            np.testing.assert_allclose(stored(job.target), tone(3000 + 1000 * number) / 2, atol=1e-6)

    def test_live_values_hold_for_every_file(self, tmp_path, models):
        sources = [write(tmp_path / f"{number}.wav", tone(3000), subtype="FLOAT") for number in range(2)]
        plan = planned(sources, tmp_path / "out", suffix=".wav")
        assert len(list(run_jobs(plan, models["half"], Parameters(mix=0.5), output=FLOATS))) == 2
        for job in plan:
            np.testing.assert_allclose(stored(job.target), 0.75 * tone(3000), atol=1e-6)

    def test_who_leaves_early_leaves_no_thread_and_no_half_file(self, tmp_path, models):
        for number in range(4):
            write(tmp_path / f"{number}.wav", tone(44_100 * 60 if number else 1000))
        plan = planned([tmp_path / f"{number}.wav" for number in range(4)], tmp_path / "out")
        outcomes = run_jobs(plan, models["identity"], threads=2)
        assert next(outcomes).job == plan[0]
        outcomes.close()
        assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("restore")]
        assert all(not path.name.startswith(("2", "3")) for path in (tmp_path / "out").iterdir())

    def test_no_threads_are_refused(self, tmp_path, models):
        with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
            list(run_jobs([Job(tmp_path / "in.wav", tmp_path / "out.wav")], models["identity"], threads=0))


def test_a_file_that_is_there_is_replaced_only_by_who_asks_for_it(tmp_path, models):
    source, target = write(tmp_path / "in.wav", tone(1000)), tmp_path / "out.wav"
    target.write_text("what was here before")
    with pytest.raises(ExistingFileError, match=r"out\.wav: is there already; existing='overwrite' replaces it"):
        restore_file(source, target, models["identity"])
    assert target.read_text() == "what was here before"
    restore_file(source, target, models["identity"], existing="overwrite")
    assert soundfile.info(target).frames == 1000


def test_a_file_goes_through_the_block_graph_unless_asked_hop_by_hop(tmp_path):
    model = load(tiny_models.in_batches(tiny_models.identity(tmp_path), spoilt=True))
    source = write(tmp_path / "in.wav", tone(70_001) / 4, subtype="FLOAT")
    restore_file(source, tmp_path / "blocks.wav", model, output=FLOATS, threads=2)
    restore_file(source, tmp_path / "hops.wav", model, output=FLOATS, hop_by_hop=True)
    np.testing.assert_allclose(stored(tmp_path / "blocks.wav"), tone(70_001) / 2, atol=1e-6)
    np.testing.assert_allclose(stored(tmp_path / "hops.wav"), tone(70_001) / 4, atol=1e-6)
