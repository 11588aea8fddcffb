"""Which file becomes which: names, folders, what is left out; decided before anything is written."""

import os
import random
import sys
from pathlib import Path

import pytest

from apollo_rt.errors import AudioFileError
from apollo_rt.files.music_names import MUSIC_SUFFIXES
from apollo_rt.files.plan import Job, Plan, plan_jobs
from tests.doubles.sound_files import tone, write

EXPECTED = """mp3 flac ogg oga opus m4a aac mp4 wav aif aiff wma webm mp2 mka m4b mpc ac3 spx 3gp mkv wv ape tta caf w64
au mov avi ts dts amr"""
"""What people keep music in."""


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def targets(plan: Plan, folder: Path) -> dict[str, str]:
    """Target by source, both from a folder on."""
    return {str(job.source.relative_to(folder)): str(job.target.relative_to(folder)) for job in plan.jobs}


def test_one_file_goes_to_one_file(tmp_path):
    assert plan_jobs([tmp_path / "in.mp3"], tmp_path / "out.wav").jobs == (
        Job(tmp_path / "in.mp3", tmp_path / "out.wav"),
    )


@pytest.mark.parametrize("there", [True, False])
def test_files_go_into_a_folder_under_their_own_names(tmp_path, there):
    out = tmp_path / "out"
    if there:
        out.mkdir()
    for inputs in (["a.mp3"], ["a.mp3", "b.c.ogg"]):
        found = [job.target for job in plan_jobs(inputs, out).jobs]
        assert found == [out / "a.flac", out / "b.c.flac"][: len(inputs)]


def test_a_folder_is_mirrored_without_hidden_files_strangers_and_the_output(tmp_path):
    touched(tmp_path, "a.mp3", "1999/B.FLAC", "1999/._b.flac", ".cache/c.mp3", "notes.txt", "restored/a.wav")
    plan = plan_jobs([tmp_path], tmp_path / "restored", suffix=".wav")
    assert targets(plan, tmp_path) == {"1999/B.FLAC": "restored/1999/B.wav", "a.mp3": "restored/a.wav"}
    assert [(thing.path.name, thing.reason) for thing in plan.left_out] == [("notes.txt", "no music by its name")]


def test_whatever_ffmpeg_reads_is_music_in_a_folder(tmp_path):
    assert {f".{suffix}" for suffix in EXPECTED.split()} <= MUSIC_SUFFIXES
    touched(
        tmp_path, *(f"song {suffix[1:]}{suffix}" for suffix in MUSIC_SUFFIXES), "cover.jpg", "no suffix", "list.m3u"
    )
    plan = plan_jobs([tmp_path], tmp_path / "out")
    assert len(plan.jobs) == len(MUSIC_SUFFIXES)
    assert sorted(thing.path.name for thing in plan.left_out) == ["cover.jpg", "list.m3u", "no suffix"]


def test_a_folder_inside_the_output_is_searched(tmp_path):
    write(tmp_path / "a.mp3", tone(10))
    (tmp_path / "pop").mkdir()
    write(tmp_path / "pop" / "b.mp3", tone(10))
    (job,) = plan_jobs([tmp_path / "pop"], tmp_path).jobs
    assert job.target == tmp_path / "b.flac"


def test_two_that_would_have_one_name_get_longer_ones_and_others_keep_theirs(tmp_path):
    touched(tmp_path, "in/song.mp3", "in/song.flac", "in/other.mp3", "in/deep/song.mp3")
    assert targets(plan_jobs([tmp_path / "in"], tmp_path / "out"), tmp_path) == {
        "in/song.mp3": "out/song.mp3.flac",
        "in/song.flac": "out/song.flac.flac",
        "in/other.mp3": "out/other.flac",
        "in/deep/song.mp3": "out/deep/song.flac",
    }


def test_a_longer_name_that_is_another_files_own_makes_that_one_longer_too(tmp_path):
    touched(tmp_path, "in/song.mp3", "in/song.flac", "in/song.mp3.wav")
    assert targets(plan_jobs([tmp_path / "in"], tmp_path / "out"), tmp_path) == {
        "in/song.mp3": "out/song.mp3.flac",
        "in/song.flac": "out/song.flac.flac",
        "in/song.mp3.wav": "out/song.mp3.wav.flac",
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [("Song.mp3", "song.ogg"), ("Caf\u00e9.mp3", "Cafe\u0301.ogg"), ("STRASSE.mp3", "stra\u00dfe.ogg")],
)
def test_names_that_some_disks_take_for_one_count_as_one(tmp_path, one, other):
    plan = plan_jobs([tmp_path / one, tmp_path / other], tmp_path / "out")
    assert [job.target.name for job in plan.jobs] == [f"{one}.flac", f"{other}.flac"]


def test_one_name_in_several_folders_keeps_the_folders_apart(tmp_path):
    inputs = [tmp_path / "a" / "01.mp3", tmp_path / "b" / "01.mp3", tmp_path / "b" / "02.mp3"]
    assert targets(plan_jobs(inputs, tmp_path / "out"), tmp_path) == {
        "a/01.mp3": "out/a/01.mp3.flac",
        "b/01.mp3": "out/b/01.mp3.flac",
        "b/02.mp3": "out/02.flac",
    }


def test_what_is_named_twice_is_restored_once(tmp_path):
    touched(tmp_path, "album/one/a.mp3")
    inputs = [tmp_path / "album" / "one" / "a.mp3", tmp_path / "album", tmp_path / "album" / "one" / ".." / "one"]
    for order in (inputs, inputs[::-1]):
        (job,) = plan_jobs(order, tmp_path / "out").jobs
        assert job.target == tmp_path / "out" / "one" / "a.flac"


@pytest.mark.parametrize("seed", range(20))
def test_names_are_all_different_and_depend_on_no_order(tmp_path, seed):
    rng = random.Random(seed)
    parts = (["", "x/", "y/"], ["a", "A", "b", "b.mp3", "a.flac"], [".mp3", ".flac", ".ogg"])
    names = ["".join(map(rng.choice, parts)) for _ in range(25)]
    inputs = [tmp_path / "in" / name for name in dict.fromkeys(names)]
    first = targets(plan_jobs(inputs, tmp_path / "out"), tmp_path)
    rng.shuffle(inputs)
    assert targets(plan_jobs(inputs, tmp_path / "out"), tmp_path) == first
    assert len(set(first.values())) == len(inputs)


def test_a_target_that_is_the_source_of_another_job_is_refused(tmp_path):
    touched(tmp_path, "in/deep/a.mp3", "out/deep/a.flac")
    with pytest.raises(AudioFileError, match="is itself one of the inputs"):
        plan_jobs([tmp_path / "in", tmp_path / "out/deep/a.flac"], tmp_path / "out")


def test_what_cannot_be_done_is_refused_before_anything_is_written(tmp_path):
    song = write(tmp_path / "song.mp3", tone(10))
    (tmp_path / "empty").mkdir()
    write(tmp_path / "song.flac", tone(10))
    for inputs, output, reason in (
        ([tmp_path / "empty"], "out", "no music in this folder"),
        ([song, "other.mp3"], "out.wav", "2 inputs can't become the file"),
        ([tmp_path], song, "is a folder, which can't become the file"),
        ([tmp_path], tmp_path, "choose another folder for the output"),
        ([tmp_path / "song.flac"], tmp_path, "is the input itself"),
        ([song], song, "is the input itself"),
        ([song], tmp_path / "out.xyz", "use one of"),
        (["in/a.mp3"], "https://example.com/out.wav", "is an address"),
        (["https://example.com/a.mp3"], "out", "is a folder; name a file"),
        (["https://example.com/a.mp3", "in/a.mp3"], "out", "a stream is restored alone"),
        ([song], "file://out.wav", "is an address"),
    ):
        with pytest.raises(AudioFileError, match=reason) as caught:
            plan_jobs(inputs, output)
        assert "\n" not in str(caught.value)
    assert not Path("out").exists()


def test_an_empty_folder_among_others_ends_nothing(tmp_path):
    touched(tmp_path, "full/a.mp3", "covers/front.jpg")
    plan = plan_jobs([tmp_path / "covers", tmp_path / "full"], tmp_path / "out")
    assert [job.source.name for job in plan.jobs] == ["a.mp3"]


def test_links_and_broken_links_are_named_and_a_link_to_a_file_is_music(tmp_path):
    touched(tmp_path, "elsewhere/a.mp3", "in/b.mp3")
    try:
        (tmp_path / "in" / "link.mp3").symlink_to(tmp_path / "elsewhere" / "a.mp3")
        (tmp_path / "in" / "gone.mp3").symlink_to(tmp_path / "nowhere.mp3")
        (tmp_path / "in" / "folder").symlink_to(tmp_path / "elsewhere")
    except OSError:
        pytest.skip("this user may not make links")
    plan = plan_jobs([tmp_path / "in"], tmp_path / "out")
    assert [job.source.name for job in plan.jobs] == ["b.mp3", "link.mp3"]
    reasons = {thing.path.name: thing.reason for thing in plan.left_out}
    assert reasons == {"folder": "a link to a folder", "gone.mp3": "no regular file"}


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs a user whom a folder can refuse")
def test_a_folder_that_cannot_be_searched_counts_as_a_fault(tmp_path):
    touched(tmp_path, "in/a.mp3", "in/locked/b.mp3")
    (tmp_path / "in" / "locked").chmod(0)
    plan = plan_jobs([tmp_path / "in"], tmp_path / "out")
    (tmp_path / "in" / "locked").chmod(0o755)
    assert [(thing.path.name, thing.is_fault) for thing in plan.left_out] == [("locked", True)]


def test_links_that_go_round_in_a_circle_are_a_fault_of_that_file_alone(tmp_path):
    (tmp_path / "circle.mp3").symlink_to("circle.mp3")
    (tmp_path / "song.mp3").touch()
    plan = plan_jobs([tmp_path / "circle.mp3", tmp_path / "song.mp3"], tmp_path / "out")
    assert [job.source.name for job in plan.jobs] == ["circle.mp3", "song.mp3"]
    (tmp_path / "in").mkdir()
    assert plan_jobs([tmp_path / "in", tmp_path / "song.mp3"], tmp_path / "circle.mp3" / "out").jobs
