"""The exceptions that a caller may want to tell apart.

Everything else that is wrong with an argument is a `ValueError` that names the argument, what is allowed and what
was given.
"""


class ApolloError(Exception):
    """Base of all errors that a user can cause or mend; its message is one line and needs no traceback."""


class ModelFileError(ApolloError):
    """A model file is not usable; the message names the file and the field."""


class ProviderError(ApolloError):
    """The execution provider that was asked for can't run the model; the message gives the reason."""


class DeviceError(ApolloError):
    """An audio device is missing, ambiguous, or refuses what was asked for."""


class AudioFileError(ApolloError):
    """An audio file can't be read or written."""


class NetworkError(AudioFileError):
    """A stream can't be had: no server, no answer, a refusal, or what it sends is none; the message says which."""


class PipeClosedError(AudioFileError):
    """Nobody reads the pipe any more that is written to: no fault, but the end of the run."""


class ExistingFileError(ApolloError):
    """A file that would be written is there already, and nobody asked for it to be replaced; the message names it."""


class PluginError(ApolloError):
    """A plugin can't be had, or not with such parameters; the message names it."""


class ParityError(ApolloError):
    """An exported graph disagrees with PyTorch; the message names graph, frame and tensor."""


class ControlError(ApolloError):
    """A preset, a mapping file, a MIDI port or a control socket is not usable; the message names it."""
