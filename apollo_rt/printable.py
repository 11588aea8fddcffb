r"""Text of strangers on a terminal: what a name, a tag or a card says is shown, never obeyed.

Control characters of a file's name can clear the screen, colour it or type into it. They are shown as Python writes
them, `\x1b`; so are the marks that turn the direction of what follows, and bytes of names that are no UTF-8.
"""

import unicodedata

_NEVER_SHOWN = frozenset(("Cc", "Cs", "Zl", "Zp"))
"""Unicode's categories of control characters, lone surrogates (bytes of a name that is no UTF-8), line separators."""

_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Unicode Standard Annex 9, 2: characters that change the direction of the text behind them."""


def printable(text: object) -> str:
    r"""Return text as it can be shown in one line: `Re\nZero` has its line break as two characters.

    Args:
        text: of wherever it comes from; what is no text is shown as `str` does.
    """
    text = str(text)
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character in _TURNING or unicodedata.category(character) in _NEVER_SHOWN:
        return character.encode("unicode_escape").decode("ascii")
    return character
