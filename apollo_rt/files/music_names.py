"""Names of music files are told by their suffix, and files from what is none."""

import os

from apollo_rt.errors import AudioFileError
from apollo_rt.network.address import is_address, place_of

MUSIC_SUFFIXES = frozenset(
    f".{suffix}"
    for line in (
        "mp3 mp2 mp1 mpa m2a mpga aac m4a m4b m4r flac ogg oga opus spx",  # what players play
        "wav wave bwf rf64 bw64 w64 aif aiff aifc caf au snd voc sph paf ircam",  # what recorders write
        "wv ape tta tak shn alac mpc mp+ wma xwma mka ra rm amr awb 3ga qcp oma aa3 at3 vqf gsm",  # of other times
        "ac3 eac3 ec3 dts dtshd mlp thd truehd dsf dff",  # of films and discs
        "mp4 m4v mov 3gp 3g2 f4v mkv mk3d webm ogv ogx avi wmv asf flv mpg mpeg vob ts mts m2ts nut",  # films
    )
    for suffix in line.split()
)
"""What FFmpeg reads and people keep music in: what is restored of a folder. A file that is named is always tried."""


def refuse_address(name: str | os.PathLike[str]) -> None:
    """Refuse to write to what is no file: a name is one unless it has `://`, whatever other colons it has.

    Raises:
        AudioFileError: it is an address.
    """
    if is_address(name):
        raise AudioFileError(f"{place_of(name)}: is an address; only files and pipes can be written")
