"""Text of a station, whichever way it is written."""


def text_of(data: bytes) -> str:
    """Text of a station: UTF-8, or Latin-1 where it can't be that."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
