"""Raw samples: their form as text, and what becomes of their values."""

import numpy as np
import pytest

from apollo_rt.files.pcm import decode, encode
from apollo_rt.files.raw_format import FORMATS, RawFormat
from tests.doubles.sounds import noise


def test_a_form_is_told_in_one_word_and_its_usual_rest_may_be_left_out():
    assert RawFormat.parse("s16le,48000,1") == RawFormat("s16le", 48_000, 1)
    assert RawFormat.parse("F32LE") == RawFormat("f32le", 44_100, 2)
    assert str(RawFormat.parse("s24be,96000,6")) == "s24be,96000,6"
    assert RawFormat("s24le", 44_100, 2).sample_bytes == 6


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("s17le", "must be one of u8, s16le, "),
        ("s16le,7", "from 1000 to 768000 Hz, got 7"),
        ("s16le,44100,0", "from 1 to 8, got 0"),
        ("s16le,44100,2,1", "FORMAT,RATE,CHANNELS, such as s16le,44100,2"),
        ("s16le,fast", "FORMAT,RATE,CHANNELS"),
        ("", "FORMAT,RATE,CHANNELS"),
    ],
)
def test_a_wrong_form_is_refused_with_what_is_allowed(text, reason):
    with pytest.raises(ValueError, match=reason):
        RawFormat.parse(text)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_encoded_is_decoded_to_half_a_step(name):
    form = RawFormat(name, channels=3)
    samples = np.clip(noise((1001, 3)), -0.99, 0.99)
    data = encode(form, samples)
    assert len(data) == 1001 * form.sample_bytes
    step = 1e-7 if form.is_float else 2.0 ** (1 - form.bits)
    np.testing.assert_allclose(decode(form, data), samples, atol=0.5001 * step + 6e-8)
    assert encode(form, decode(form, data)) == data


@pytest.mark.parametrize(
    ("name", "data", "value"),
    [
        ("u8", b"\x80\x00", (0.0, -1.0)),
        ("s16le", b"\x00\x40\x00\x80", (0.5, -1.0)),
        ("s16be", b"\x40\x00\x80\x00", (0.5, -1.0)),
        ("s24le", b"\x00\x00\x40\x00\x00\x80", (0.5, -1.0)),
        ("s24be", b"\x40\x00\x00\x80\x00\x00", (0.5, -1.0)),
        ("f32be", b"\x3f\x00\x00\x00\xbf\x80\x00\x00", (0.5, -1.0)),
    ],
)
def test_bytes_are_what_other_programs_take_them_for(name, data, value):
    np.testing.assert_array_equal(decode(RawFormat(name), data), [value])
    assert encode(RawFormat(name), np.array([value], np.float32)) == data


def test_whole_numbers_clip_at_full_scale():
    loud = np.array([[2.0, -2.0]], np.float32)
    assert encode(RawFormat("s16le"), loud) == b"\xff\x7f\x00\x80"
    assert encode(RawFormat("u8"), loud) == b"\xff\x00"
