"""A stream as stereo blocks at one rate, whatever it is made of and however often it changes; titles by their sample.

connection -> bytes -> links, frames -> Timeline -> (block, titles that begin in it, whether it joins the last one)
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from apollo_rt.files.audio_reader import refuse_rate
from apollo_rt.files.channel_layout import STEREO
from apollo_rt.files.container_sound import ContainerSound
from apollo_rt.files.ogg_links import is_ours
from apollo_rt.files.ogg_sound import OggSound
from apollo_rt.files.sound import Sound
from apollo_rt.files.source_file import SourceFile
from apollo_rt.files.timeline import Timeline
from apollo_rt.network.address import Address
from apollo_rt.network.continued_stream import ContinuedStream
from apollo_rt.radio.sound_buffer import StreamBlock


@dataclass
class StreamFacts:
    """Facts about what is decoded, for people.

    Attributes:
        codec: FFmpeg's name.
        sample_rate: Hz, as sent.
        channels: as sent.
        n_faults: places that could not be decoded.
        lump_s: the longest sound that came at once.
    """

    codec: str = ""
    sample_rate: int = 0
    channels: int = 0
    n_faults: int = 0
    lump_s: float = 0.0


class DecodedStream:
    """Blocks of one stream, from its beginning to where it doesn't fit together any more.

    Args:
        stream: its bytes.
        sample_rate: Hz, of the blocks.
        facts: kept up to date.

    Raises:
        AudioFileError: it is no sound.
    """

    def __init__(self, stream: ContinuedStream, sample_rate: int, facts: StreamFacts) -> None:
        """Read as much as tells what it is."""
        self._stream, self._facts = stream, facts
        self._name = Address(stream.stream.url)
        file = SourceFile(self._name, stream)
        try:
            is_ogg = file.at(0, 4) == b"OggS" and is_ours(file.first_bytes())
            self._source: OggSound | ContainerSound = OggSound(file) if is_ogg else ContainerSound(file)
        except BaseException:
            file.close()
            raise
        self._timeline = Timeline(sample_rate, STEREO)
        self._marks: list[tuple[int, str]] = []
        self._n_faults_before = facts.n_faults

    def blocks(self) -> Iterator[StreamBlock]:
        """Decode what comes."""
        n_before, joins = 0, False
        for samples in self._timeline.blocks(self._marked(self._source.sounds())):
            titles = tuple((max(place - n_before, 0), title) for place, title in self._marks)
            self._marks.clear()
            yield StreamBlock(samples, titles, joins)
            n_before, joins = n_before + len(samples), True

    def close(self) -> None:
        """Close what is open."""
        self._source.close()

    def _marked(self, sounds: Iterator[Sound]) -> Iterator[Sound]:
        """Note where titles begin; gaps that a clock tells of are none to who listens live."""
        facts = self._facts
        for sound in sounds:
            refuse_rate(self._name, sound.sample_rate)
            facts.codec, facts.sample_rate, facts.channels = self._source.codec, sound.sample_rate, len(sound.channels)
            facts.n_faults = self._n_faults_before + self._source.n_faults
            page_s = self._source.longest_page_s if isinstance(self._source, OggSound) else 0.0
            facts.lump_s = max(page_s, self._stream.stream.lump_s, len(sound.samples) / sound.sample_rate)
            titles = [sound.title] if sound.title else []
            if sound.position is not None:
                titles += [title for _, title in self._stream.take_titles(sound.position)]
            self._marks += [(self._timeline.n_samples, title) for title in titles]
            yield replace(sound, n_missing=0)
