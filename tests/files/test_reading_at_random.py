"""Generated files cut, joined, damaged and re-muxed at random, each through the whole command: what holds for all.

The length is what the pieces say, each piece lies in its place to the sample, nothing is lost without a line, no line
comes without a reason, and exit code and line agree.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from apollo_rt.commands.cli import main
from tests.doubles import tiny_models
from tests.doubles.encoded_files import Samples, encode, joined, n_packets, noise, ogg_pages, place_of, remux, vorbis

N_CASES = 120


@dataclass
class Piece:
    """Some music in a file of its own.

    Attributes:
        samples: what was encoded.
        rate: Hz.
        path: the file.
        n_samples: what it says that it holds, delay included where nothing says how long that is.
        delay: samples before the music, where they are not cut.
    """

    samples: Samples
    rate: int
    path: Path
    n_samples: int
    delay: int = 0


@dataclass
class Case:
    """A file, and what is to come of it.

    Attributes:
        path: the file.
        n_samples: how many come out, at the first piece's rate.
        places: where music lies: its samples at the output's rate (first channel), and its place.
        has_line: whether something is to be said.
        tolerance: of places and length, in samples.
    """

    path: Path
    n_samples: int
    places: list[tuple[np.ndarray, int]]
    has_line: bool
    tolerance: int = 0


CHAINED = {"vorbis": ("vorbis", "ogg"), "opus": ("libopus", "ogg"), "oggflac": ("flac", "ogg")}
PLAIN = {"mp3": ("libmp3lame", "mp3"), "adts": ("aac", "adts"), "mp2": ("mp2", "mp2")}
FRAMES = {"mp3": (1152, 1105), "adts": (1024, 1024), "mp2": (1152, 481)}
RATES = {
    "vorbis": (22_050, 44_100, 48_000),
    "opus": (48_000,),
    "oggflac": (44_100, 96_000),
    "mp3": (32_000, 44_100, 48_000),
}


def piece(folder: Path, rng: np.random.Generator, kind: str, seed: int) -> Piece:
    """A piece of a random length, layout and rate."""
    rate = int(rng.choice(RATES.get(kind, (32_000, 44_100, 48_000))))
    samples = noise(int(rng.integers(12_000, 40_000)), int(rng.integers(1, 3)), seed)
    path = folder / f"{seed}.{kind}"
    if kind == "vorbis":
        return Piece(samples, rate, vorbis(path, samples, rate), len(samples))
    codec, container = {**CHAINED, **PLAIN}[kind]
    encode(path, samples, codec, rate, kind=container)
    if kind in CHAINED:
        return Piece(samples, rate, path, len(samples))
    length, delay = FRAMES[kind]
    return Piece(samples, rate, path, n_packets(path) * length, delay)


def at_rate(samples: Samples, source: int, target: int) -> np.ndarray:
    """The first channel at another rate, good enough to find its place."""
    positions = np.arange(len(samples) * target // source) * source / target
    return np.interp(positions, np.arange(len(samples)), samples[:, 0])


def join(folder: Path, rng: np.random.Generator) -> Case:
    """Some pieces in a row, as `cat` or a radio's recorder puts them."""
    is_ogg = bool(rng.integers(2))
    plain = str(rng.choice(list(PLAIN)))
    kinds = [str(rng.choice(list(CHAINED))) if is_ogg else plain for _ in range(int(rng.integers(2, 5)))]
    parts = [piece(folder, rng, kind, seed) for seed, kind in enumerate(kinds)]
    first, position, places = parts[0], 0, []
    if plain == "mp3" and not is_ogg:
        first.n_samples, first.delay = first.n_samples - 1105, 0  # its own header is believed, as far as it goes
    for part in parts:
        inside = part.delay * first.rate // part.rate
        is_same = part.samples.shape[1] == first.samples.shape[1] or part.samples.shape[1] == 1
        mixed = part.samples if is_same else part.samples.mean(axis=1, keepdims=True)
        places.append((at_rate(mixed, part.rate, first.rate), position + inside))
        position += -(-part.n_samples * first.rate // part.rate)
    changes = {(part.rate, part.samples.shape[1]) for part in parts}
    path = joined(folder / f"joined.{'ogg' if is_ogg else plain}", [part.path for part in parts])
    same_rate = len({part.rate for part in parts}) == 1
    # Parts in a row at one rate are converted as one, so that only each change rounds up.
    return Case(path, position, places, len(changes) > 1, 0 if same_rate else len(parts))


STORED = [
    ("vorbis", "ogg", "mka"),
    ("vorbis", "ogg", "webm"),
    ("opus", "ogg", "mka"),
    ("opus", "ogg", "mp4"),
    ("oggflac", "ogg", "mka"),
    ("oggflac", "ogg", "flac"),
]


def remuxed(folder: Path, rng: np.random.Generator) -> Case:
    """The packets of an Ogg file in another container."""
    kind, _, suffix = STORED[rng.integers(len(STORED))]
    source = piece(folder, rng, kind, 0)
    path = remux(source.path, folder / f"remuxed.{suffix}")
    # An edit list of MP4 and a block of Matroska are placed to the millisecond.
    return Case(
        path, source.n_samples, [(source.samples[:, 0], 0)], False, source.rate // 1000 if suffix == "mp4" else 0
    )


HOLES = [("aac", "mkv", 1024), ("aac", "ts", 1024), ("aac", "mp4", 1024), ("flac", "mka", 4608), ("mp2", "ts", 1152)]


def with_hole(folder: Path, rng: np.random.Generator) -> Case:
    """Packets missing in the middle."""
    codec, suffix, length = HOLES[rng.integers(len(HOLES))]
    samples = noise(120_000, 2, 1)
    first = 30_000 // length + int(rng.integers(1, 8))
    n_lost = int(rng.integers(1, 30_000 // length))
    whole = encode(folder / f"whole.{suffix}", samples, codec)
    path = encode(folder / f"hole.{suffix}", samples, codec, left_out=range(first, first + n_lost))
    with_delay = {"mkv": 1024, "ts": 1024} if codec == "aac" else {"ts": 481}
    delay = with_delay.get(suffix, 0)
    n_samples = n_packets(whole) * length if delay else len(samples)
    places = [(samples[:25_000, 0], delay), (samples[-45_000:, 0], 75_000 + delay)]
    # Matroska's end stands to the millisecond.
    return Case(path, n_samples, places, True, 1024 if suffix == "mkv" else 0)


def lost_pages(folder: Path, rng: np.random.Generator) -> Case:
    """Damage inside an Ogg file: some pages with a wrong checksum."""
    kind = str(rng.choice(list(CHAINED)))
    samples, rate = noise(260_000, 2, 1), 48_000
    source = folder / "whole.ogg"
    _ = vorbis(source, samples, rate) if kind == "vorbis" else encode(source, samples, CHAINED[kind][0], rate)
    pages = [bytearray(page) for page, _ in ogg_pages(source)]
    first = sum(clock == 0 for _, clock in ogg_pages(source)) + 1
    for number in range(first, min(first + int(rng.integers(1, 3)), len(pages) - 2)):
        pages[number][-1] ^= 1
    path = folder / "damaged.ogg"
    path.write_bytes(b"".join(pages))
    return Case(path, len(samples), [(samples[-25_000:, 0], len(samples) - 25_000)], True)


CUT = ["mp3", "flac", "wav", "aiff", "ogg", "w64", "au", "caf"]


def cut_off(folder: Path, rng: np.random.Generator) -> Case:
    """The first part of a file."""
    suffix = str(rng.choice(CUT))
    samples = noise(90_000, 2, 1)
    path = folder / f"cut.{suffix}"
    soundfile.write(path, samples, 44_100)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * rng.uniform(0.6, 0.9))])
    return Case(path, 67_500, [(samples[:25_000, 0], 0)], True, 22_500)


KINDS = {"join": join, "remuxed": remuxed, "hole": with_hole, "lost": lost_pages, "cut": cut_off}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model that leaves everything what it is."""
    return str(tiny_models.identity(tmp_path_factory.mktemp("model")))


@pytest.mark.parametrize("seed", range(N_CASES))
def test_what_holds_for_every_file(tmp_path, capfd, model, seed):
    rng = np.random.default_rng(seed)
    make = KINDS[["join", "join", "remuxed", "hole", "lost", "cut"][seed % 6]]
    case = make(tmp_path, rng)
    target = tmp_path / "out.wav"
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "restore",
                str(case.path),
                "-o",
                str(target),
                "--float",
                "--rate",
                "keep",
                "--model",
                model,
                "--threads",
                "1",
            ]
        )
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith(("warning:", "error:"))]
    assert not ended.value.code, said
    assert not any(line.startswith("error:") for line in said)
    assert bool(said) == case.has_line, said
    samples = soundfile.read(target, always_2d=True)[0]
    assert abs(len(samples) - case.n_samples) <= case.tolerance
    for part, place in case.places:
        middle = slice(len(part) // 3, 2 * len(part) // 3)
        assert abs(place_of(part[middle], samples[:, 0]) - place - middle.start) <= case.tolerance
