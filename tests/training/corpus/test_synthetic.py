"""The open corpus. Synthetic songs: scores are read and varied note by note, instruments play them in time."""

import struct
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from tests.doubles.audio_servers import need
from training.corpus import corpus, debian_packages, drums, lmms, oscillators, scores, soundfont, synthetic, trackers
from training.corpus.oscillators import Patch
from training.corpus.scores import Accompanist, Note, Part, Score
from training.data.audio import SAMPLE_RATE, active_level_db
from training.data.recordings import MIXTURE

SAW = Patch(("saw", "saw", "saw"), 0.0, (0, 0, 0), 0.5, 0.0, 0.001, 1.0, 1.0, 0.01, 20_000.0, 0.0)


def test_a_midi_file_is_read_as_parts_with_times_in_seconds(tmp_path: Path) -> None:
    file = mido.MidiFile(ticks_per_beat=100)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(120)))
    track.append(mido.Message("program_change", channel=2, program=81))
    track.append(mido.Message("note_on", channel=2, note=69, velocity=90, time=100))
    track.append(mido.Message("note_on", channel=9, note=36, velocity=100, time=50))
    track.append(mido.Message("note_on", channel=2, note=69, velocity=0, time=50))
    track.append(mido.Message("note_off", channel=9, note=36, time=0))
    file.save(tmp_path / "two.mid")
    melody, beat = scores.read(tmp_path / "two.mid").parts
    assert (melody.program, melody.drums, beat.drums) == (81, False, True)
    assert melody.notes == (Note(pytest.approx(0.5), pytest.approx(0.5), 69, 90),)
    assert beat.notes == (Note(pytest.approx(0.75), pytest.approx(0.25), 36, 100),)


def test_a_midi_file_without_notes_is_refused(tmp_path: Path) -> None:
    mido.MidiFile().save(tmp_path / "none.mid")
    with pytest.raises(ValueError, match="holds no notes"):
        scores.read(tmp_path / "none.mid")


def test_a_variation_keeps_the_tune_and_moves_key_and_tempo_as_one() -> None:
    notes = tuple(Note(0.5 * index, 0.4, 60 + index, 80) for index in range(8))
    played = Score("song", (Part(0, False, notes), Part(0, True, notes)))
    varied = scores.vary(played, np.random.default_rng(0))
    tune, beat = (part.notes for part in varied.parts)
    assert {new.key - old.key for new, old in zip(tune, notes, strict=True)} == {tune[0].key - 60}
    assert [note.key for note in beat] == [note.key for note in notes]
    assert {round(new.start_s / old.start_s, 6) for new, old in zip(tune[1:], notes[1:], strict=True)} == {
        round(tune[1].start_s / 0.5, 6)
    }
    assert all(1 <= note.velocity <= 127 for note in tune)


def test_an_arpeggio_plays_the_keys_that_sound() -> None:
    chord = Part(0, False, tuple(Note(start, 1.0, key, 80) for start in (0.0, 2.0) for key in (60, 64, 67)))
    line = synthetic.arpeggio(chord, np.random.default_rng(0))
    assert len(line.notes) > 8
    assert {note.key % 12 for note in line.notes} <= {0, 4, 7}


def test_an_oscillator_plays_the_pitch_that_is_written_and_stops() -> None:
    part = Part(81, False, (Note(0.5, 1.0, 69, 127),))
    audio = oscillators.render(part, SAW, np.random.default_rng(0))
    assert np.abs(audio[: SAMPLE_RATE // 2]).max() == 0
    assert np.abs(audio[-SAMPLE_RATE // 2 :]).max() < 1e-3
    spectrum = np.abs(np.fft.rfft(audio[SAMPLE_RATE // 2 : 3 * SAMPLE_RATE // 2, 0]))
    assert np.argmax(spectrum) % 440 == pytest.approx(0, abs=2)  # three phases may cancel the fundamental
    assert spectrum[19_000:21_000].max() > 1e-3 * spectrum.max()


def test_a_low_pass_of_the_oscillators_takes_the_highs_away() -> None:
    part = Part(81, False, (Note(0.0, 1.0, 69, 127),))
    bright, dark = (
        np.abs(np.fft.rfft(oscillators.render(part, patch, np.random.default_rng(0))[:, 0]))
        for patch in (SAW, replace(SAW, cutoff_hz=1000.0))
    )
    assert dark[20_000:].max() < 0.05 * bright[20_000:].max()


def test_every_drawn_patch_makes_a_sound() -> None:
    part = Part(81, False, (Note(0.0, 0.2, 60, 100),))
    for seed in range(20):
        random = np.random.default_rng(seed)
        audio = oscillators.render(part, oscillators.draw(random), random)
        assert np.isfinite(audio).all()
        assert 0.005 < np.abs(audio).max() < 2.0


def test_a_kit_is_sorted_into_roles_and_played_on_the_beat(tmp_path: Path) -> None:
    click = np.zeros((400, 2), np.float32)
    click[0] = 0.9
    for name in ("kick1", "snare_hard", "hh_closed", "crash", "loop_amen", "empty"):
        soundfile.write(tmp_path / f"{name}.wav", click, SAMPLE_RATE)
    (kit,) = drums.kits(tmp_path)
    assert {role: [file.stem for file in files] for role, files in kit.samples.items()} == {
        "kick": ["kick1"],
        "snare": ["snare_hard"],
        "hat": ["hh_closed"],
        "cymbal": ["crash"],
    }
    stems = drums.render(kit, 8.0, np.random.default_rng(0))
    assert {len(stem) for stem in stems} == {8 * SAMPLE_RATE}
    hits = np.flatnonzero(np.abs(stems[0][:, 0]) > 0.1)
    assert len(hits) > 8
    steps = np.diff(hits) / np.diff(hits).min()
    assert np.abs(steps - steps.round()).max() < 0.35  # swing moves every other sixteenth


def test_notes_end_before_others_start_at_the_same_moment() -> None:
    part = Part(0, False, (Note(0.0, 0.5, 60, 80), Note(0.5, 0.5, 60, 90)))
    events = soundfont._events(part)
    assert [velocity for _, _, velocity in events] == [80, 0, 90, 0]
    assert events[1][0] == events[2][0]


def test_a_chart_names_a_groove_of_its_style_and_a_chord_for_each_bar(tmp_path: Path) -> None:
    library = tmp_path / "usr" / "share" / "mma" / "lib" / "stdlib"
    library.mkdir(parents=True)
    (library / "rock.mma").write_text("Begin Drum\nEnd\nDefGroove Rock  a rock\nDefGroove RockIntro\n")
    (library / "metronome.mma").write_text("DefGroove Metronome\n")
    band = Accompanist(tmp_path)
    assert band.styles == (Path("stdlib/rock.mma"),)
    chart = list(band._chart(band.styles[0], np.random.default_rng(0), 30.0))
    assert {line for line in chart if line.startswith("Groove")} == {"Groove stdlib/rock:Rock"}
    bars = [line.split() for line in chart if line[0].isdigit()]
    assert [int(number) for number, _ in bars] == list(range(1, len(bars) + 1))
    assert len(bars) >= 8


def test_a_saved_song_is_a_folder_of_stems_and_their_mixture(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (4410, 2)).astype(np.float32)
    folder = synthetic.save(synthetic.Song("group", "name", {"bass": noise}, noise), tmp_path)
    assert folder == tmp_path / "group" / "name"
    assert {file.stem for file in folder.iterdir()} == {"bass", MIXTURE}


def test_stems_are_brought_to_one_level() -> None:
    noise = np.random.default_rng(0).standard_normal((SAMPLE_RATE, 2)).astype(np.float32)
    for gain in (1e-3, 0.1):
        stem = synthetic._levelled(noise * np.float32(gain))
        assert active_level_db(stem) == pytest.approx(synthetic.STEM_LEVEL_DB, abs=0.1)


def test_no_group_is_in_two_splits_and_no_evaluation_author_is_trained_on() -> None:
    groups = [group.name for group in (*debian_packages.PACKAGES, *lmms.AUTHORS, *trackers.GAMES)]
    assert len(groups) == len(set(groups))
    held_out = {author.name for author in lmms.AUTHORS if author.split == "test"}
    assert held_out == {"Saber", "Thomasso", "Momo64", "Settel", "Jousboxx", "EsoXLB"}
    assert {package.name for package in debian_packages.PACKAGES if package.split == "test"} == {"hyperrogue-music"}
    assert lmms.author_of(Path("Saber-FinalStep.mmpz")) == "Saber"
    assert lmms.author_of(Path("Crunk(Demo).mmp")) == "Crunk"


def test_of_a_package_of_stems_each_folder_is_one_song(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).standard_normal((SAMPLE_RATE, 2)).astype(np.float32) * 0.1
    for part in ("loud/song", "loud/guitar", "poor/song"):
        file = tmp_path / "raw" / "stems-data" / f"{part}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, noise[:, :1] if part == "poor/song" else noise, SAMPLE_RATE)
    package = debian_packages.Package("stems-data", "train", "MIT", "", "*/*.wav", 1_000_000, in_parts=True)
    monkeypatch.setattr(debian_packages, "PACKAGES", (package,))
    (loud,) = corpus._recorded(tmp_path)
    assert (loud.key, set(loud.stems)) == ("stems-data/loud", {"song", "guitar"})
    assert sorted(file.stem for file in loud.mixture) == ["guitar", "song"]


def test_songs_of_trackers_are_rendered_once_and_what_is_no_song_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("openmpt123")
    folder = tmp_path / "raw" / "game-data" / "music"
    folder.mkdir(parents=True)
    (folder / "song.mod").write_bytes(mod(np.random.default_rng(0).integers(-60, 60, 400)))
    (folder / "broken.xm").write_bytes(b"none")
    (folder / "read.me").touch()
    monkeypatch.setattr(lmms, "AUTHORS", ())
    monkeypatch.setattr(trackers, "GAMES", (trackers.Game("game-data", "MIT"),))
    ((song,), failed) = corpus._rendered(tmp_path, 1)
    (file,) = song.mixture
    audio, rate = soundfile.read(file)
    assert (song.key, song.licence, song.split, rate) == ("game-data/song.mod", "MIT", "train", SAMPLE_RATE)
    assert 0.01 < np.abs(audio).max() < 1
    assert failed == {"game-data/broken.xm": "openmpt123 rendered nothing whole; it ended with status 0"}
    assert [found.name for found in file.parent.iterdir()] == ["song.mod.flac"]
    written = file.stat()
    corpus._rendered(tmp_path, 1)
    assert file.stat() == written


def test_half_a_song_of_a_tracker_is_not_taken_for_a_song(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "openmpt123"
    program.write_text('#!/bin/sh\nwhile [ "$1" != --output ]; do shift; done\necho half > "$2"\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(OSError, match="nothing whole; it ended with status 1"):
        trackers.render(tmp_path / "song.mod", tmp_path / "rendered")
    assert not (tmp_path / "rendered" / "song.mod.flac").exists()


def mod(sample: np.ndarray) -> bytes:
    """A song of one pattern that plays a looped sample of 8 bits, in the format of ProTracker."""
    words, loudest = len(sample) // 2, 64
    first = bytes(22) + struct.pack(">HBBHH", words, 0, loudest, 0, words)
    none = bytes(22) + struct.pack(">HBBHH", 0, 0, 0, 0, 1)
    note = bytes((0x01, 0xAC, 0x10, 0x00))  # sample 1, C-2
    order = bytes((1, 127)) + bytes(128)
    return bytes(20) + first + 30 * none + order + b"M.K." + note + bytes(1020) + sample.astype(np.int8).tobytes()
