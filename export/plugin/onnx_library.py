"""ONNX Runtime's C library, which goes into a bundle as it is."""

from pathlib import Path

from apollo_rt.errors import ApolloError
from apollo_rt.inference.onnx_c_api import LibraryMissingError, library_path


class LibraryError(ApolloError):
    """There is no library to be shipped; the message says how to name one."""


def installed_library() -> Path:
    """The one of the installed package, which the tests of this program ran with.

    Raises:
        LibraryError: the package is missing, or has none.
    """
    try:
        return library_path()
    except LibraryMissingError as error:
        raise LibraryError(f"{error}; name ONNX Runtime's C library with --runtime FILE") from error
