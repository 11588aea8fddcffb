"""Titles by the sample at which they begin: for the screen when they are heard, for a recording when they are taken."""

from collections import deque


class TitleMarks:
    """Titles of one source.

    Args:
        most: so many are kept that nobody asked for yet, the newest; None: all.

    Attributes:
        title: of what was heard last; empty before the first.
        unheard: those that were not heard yet, each with its sample.
    """

    def __init__(self, most: int | None = None) -> None:
        self.title = ""
        self.unheard: deque[tuple[int, str]] = deque(maxlen=most)
        self._untaken: deque[tuple[int, str]] = deque(maxlen=most)

    def note(self, place: int, title: str) -> None:
        """Note a title that begins at a sample, no earlier than those before."""
        self.unheard.append((place, title))
        self._untaken.append((place, title))

    def heard(self, n_heard: int) -> str:
        """The title of what is heard, after so many samples."""
        while self.unheard and self.unheard[0][0] <= n_heard:
            self.title = self.unheard.popleft()[1]
        return self.title

    def take(self, n_taken: int) -> list[tuple[int, str]]:
        """Titles of the first so many samples, with the number of the sample at which each begins; told once."""
        found = []
        while self._untaken and self._untaken[0][0] < n_taken:
            found.append(self._untaken.popleft())
        return found
