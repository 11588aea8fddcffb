"""Text of a station, whichever way it is written."""

import codecs
import re

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_WINDOWS = {byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0xA0)}
"""What 80 to 9F are where Latin-1 is said: quotes and dashes of Windows, since the control characters that Latin-1 has
there are never meant (https://encoding.spec.whatwg.org/#names-and-labels)."""


def text_of(data: bytes) -> str:
    """Text of a station: UTF-8, or UTF-16 if its mark says so, or Latin-1 where it can't be that."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1").translate(_WINDOWS)


def lines_of(text: str) -> list[str]:
    """Lines of a text, without spaces around them; only line breaks part them, and no other space."""
    return [line.strip() for line in re.split(r"\r\n|\r|\n", text)]
