"""The evaluation set: what it is made of, that it is the same each time, and which of it is measured how."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from tests.doubles.small_music import song
from training.data.audio import SAMPLE_RATE, Audio, load
from training.evaluation import clip_making, collect, damage_labels, selection, sounds
from training.evaluation.bands import band_powers, edges_hz
from training.evaluation.judge import as_tensor
from training.evaluation.probes import probes
from training.evaluation.silence import is_silent
from training.evaluation.undamaged import clips

MUSIC = [np.tile(song(seed, 5.0), (2, 1)) for seed in range(3)]
VOICE = {"voice": song(9, 3.0)}
ABOVE = edges_hz()[:-1] >= 8_500


@cache
def made() -> dict[str, Audio]:
    """One clip of each kind; the voice is in the middle."""
    return dict(reversed(list(clips(MUSIC, {"voice": np.repeat(VOICE["voice"][:, :1], 2, axis=1)}))))


def level_db(kind: str, above_hz: float) -> float:
    return clip_making.level_db(clip_making.above(made()[kind], above_hz))


def test_the_hat_is_17_db_louder_on_the_left_above_the_cut_and_nowhere_below() -> None:
    hat = probes(MUSIC[0], MUSIC[1])["hat-left"]
    left, right = (clip_making.level_db(clip_making.above(hat[:, [channel]], 8_000.0)) for channel in (0, 1))
    assert right == pytest.approx(-43.6, abs=0.1)
    assert left == pytest.approx(10 * np.log10(10**-2.65 + 10**-4.36), abs=0.1)
    below = hat - clip_making.above(hat, 4_000.0)
    assert clip_making.level_db(below[:, 0] - below[:, 1]) < -50


def test_the_other_probes_are_what_their_names_say() -> None:
    found = probes(MUSIC[0], MUSIC[1])
    assert is_silent(found["left-alone"][:, 1])
    assert not is_silent(found["left-alone"][:, 0])
    np.testing.assert_array_equal(found["side-only"][:, 0], -found["side-only"][:, 1])
    np.testing.assert_array_equal(found["centre"][:, 0], found["centre"][:, 1])
    powers = band_powers(as_tensor(found["two-sides"]))
    coherence = powers.common.mean(0) / powers.channels.mean(1).prod(0).sqrt()
    assert float(coherence[ABOVE].abs().max()) < 0.1


def test_undamaged_clips_of_every_kind_are_made_and_are_the_same_each_time() -> None:
    again = list(clips(MUSIC, VOICE))
    assert {kind for kind, _ in again} == {
        "real-music", "dark-master", "soft-roll-off", "quiet-16-bit", "from-22050", "from-32000", "from-48000",
        "between-tracks", "room-tone", "silence", "tone", "voice", "outdoors", "voice-over-bed",
    }  # fmt: skip
    for kind, clip in reversed(again):
        assert clip.dtype == np.float32
        assert clip.shape == (10 * SAMPLE_RATE, 2) or kind == "between-tracks"
    first = dict(reversed(again))
    for kind in ("soft-roll-off", "room-tone", "outdoors"):
        np.testing.assert_array_equal(first[kind], made()[kind])


def test_what_is_made_from_music_ends_where_it_should() -> None:
    piece_db = clip_making.level_db(clip_making.above(clip_making.at_level(MUSIC[1], -18.0), 16_000.0))
    assert level_db("dark-master", 16_000.0) < piece_db - 25
    assert level_db("soft-roll-off", 16_000.0) < piece_db - 15  # what is left is the hiss
    assert level_db("from-22050", 11_500.0) < -80
    assert level_db("from-32000", 16_500.0) < -80
    assert piece_db - 8 < level_db("from-48000", 16_000.0) < piece_db - 3


def test_quiet_music_is_rounded_to_16_bits() -> None:
    clip = made()["quiet-16-bit"]
    np.testing.assert_array_equal(clip * 32_768, np.round(clip * 32_768))
    assert clip_making.level_db(clip) == pytest.approx(-58, abs=0.5)


def test_a_voice_in_the_middle_stands_26_db_above_a_bed_that_is_wide() -> None:
    clip = made()["voice-over-bed"]
    assert clip_making.level_db((clip[:, :1] - clip[:, 1:]) / 2**0.5) == pytest.approx(-46, abs=1.5)
    assert clip_making.level_db(clip) == pytest.approx(-20, abs=0.2)
    assert level_db("voice-over-bed", 8_500.0) < -80


def test_the_command_writes_excerpts_of_validation_recordings_and_all_that_is_made_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = tmp_path / "music", tmp_path / "eval"
    source.mkdir()
    lines = ["file\tauthor\tlicence\tsplit"]
    for name, split in (("a", "valid"), ("b", "valid"), ("c", "train")):
        soundfile.write(source / f"{name}.wav", np.tile(song(3, 6.0), (2, 1)), SAMPLE_RATE)
        lines.append(f"{name}.wav\tSome One\tCC0\t{split}")
    (source / "LICENCES.tsv").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(sounds, "by_kind", lambda work: (VOICE, {"sonic-pi-samples": "no Debian"}))
    done = CliRunner().invoke(collect.command, [str(source), "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "left out: sonic-pi-samples: no Debian" in done.output
    assert sorted(path.name for path in out.glob("*.flac")) == ["Some-One__a.flac", "Some-One__b.flac"]
    assert "Some-One__b.flac\tSome-One\tCC0" in (out / "LICENCES.tsv").read_text()
    assert soundfile.info(out / "Some-One__a.flac").duration == 10
    assert len(list((out / "probes").iterdir())) == 5
    quiet = load(out / "undamaged/quiet-16-bit__1.flac")
    np.testing.assert_array_equal(quiet * 32_768, np.round(quiet * 32_768))
    before = (out / "Some-One__a.flac").stat().st_mtime_ns
    monkeypatch.setattr(collect, "write", lambda *_: None)
    CliRunner().invoke(collect.command, [str(source), "--out", str(out)], catch_exceptions=False)
    assert (out / "Some-One__a.flac").stat().st_mtime_ns == before


def test_a_collection_without_validation_music_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", song(3, 6.0), SAMPLE_RATE)
    done = CliRunner().invoke(collect.command, [str(tmp_path), "--out", str(tmp_path / "eval")])
    assert done.exit_code == 1
    assert "fewer than two validation recordings" in done.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An evaluation set of empty files: finding clips reads no audio."""
    for name in (
        *(f"{author}__{index}.flac" for author in "ab" for index in range(4)), "undamaged/voice__1.flac",
        "undamaged/voice__2.flac", "undamaged/tone__1.flac", "probes/centre__1.flac", ".packages/raw/kick.flac",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_music_is_damaged_as_asked_probes_as_is_fit_and_the_rest_not_at_all(folder: Path) -> None:
    _, found = selection.find(folder, selection.PARTS, None)
    assert [(clip.part, clip.kind) for clip in found[-4:]] == [
        ("undamaged", "tone"), ("undamaged", "voice"), ("undamaged", "voice"), ("probes", "centre"),
    ]  # fmt: skip
    assert len(found) == 12
    assert [tuple(clip.labels(["mp3-64"])) for clip in (found[0], found[8], found[-1])] == [
        ("mp3-64",), ("clean",), selection.PROBE_LABELS,
    ]  # fmt: skip


def test_a_limit_spreads_over_the_music_and_takes_one_of_each_undamaged_kind(folder: Path) -> None:
    _, found = selection.find(folder, selection.PARTS, 4)
    assert [clip.path.stem for clip in found] == [
        "a__0", "a__2", "b__0", "b__2", "tone__1", "voice__1", "centre__1",
    ]  # fmt: skip
    assert [clip.part for clip in selection.find(folder, ["probes"], 4)[1]] == ["probes"]


@pytest.mark.parametrize("preset", [selection.QUICK, selection.CODECS, selection.USUAL])
def test_what_is_measured_often_names_damages_that_there_are(preset: selection.Preset) -> None:
    for label in preset.labels:
        assert damage_labels.parse(label)


def test_a_melody_is_as_long_as_a_clip() -> None:
    part = sounds.melody(0, 60)
    assert part.seconds == pytest.approx(9.55)
    assert {note.key for note in part.notes} <= set(range(60, 73))
