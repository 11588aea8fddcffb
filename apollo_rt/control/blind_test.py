"""A blind test (ABX): does a listener hear the difference between input and restoration at all?

In each round X is one of the two, drawn by chance. The listener hears input, restoration and X as often as he likes,
and says which of them X is. Who only guesses is right `score` times or more with the probability that is told.
"""

import math
import secrets
from collections.abc import Callable
from typing import Any

from apollo_rt.errors import ControlError

INPUT, RESTORED, UNKNOWN = "input", "restored", "X"
N_ROUNDS = 10


class BlindTest:
    """Keeps one test at a time.

    Args:
        hear: lets the input or the restoration be heard; None: what bypass says.
        draw: draws what X is, one of two by chance.
    """

    def __init__(
        self,
        hear: Callable[[str | None], None],
        draw: Callable[[], str] = lambda: secrets.choice((INPUT, RESTORED)),
    ) -> None:
        self._hear, self._draw = hear, draw
        self._rounds: list[str] = []
        self._answers: list[str] = []
        self._heard = UNKNOWN
        self.is_running = False

    def begin(self) -> None:
        """Begin anew; X of the first round is heard."""
        self._rounds, self._answers = [self._draw() for _ in range(N_ROUNDS)], []
        self.is_running = True
        self.hear(UNKNOWN)

    def hear(self, what: str) -> None:
        """Let the input, the restoration or X be heard.

        Raises:
            ControlError: no test runs.
        """
        self._check()
        self._heard = what
        self._hear(self._rounds[len(self._answers)] if what == UNKNOWN else what)

    def answer(self, what: str) -> None:
        """Say what X is; X of the next round is heard then, or the test is over.

        Raises:
            ControlError: no test runs.
        """
        self._check()
        self._answers.append(what)
        if len(self._answers) < N_ROUNDS:
            self.hear(UNKNOWN)
        else:
            self.end()

    def end(self) -> None:
        """End it; what bypass says is heard again."""
        self.is_running = False
        self._hear(None)

    def describe(self) -> dict[str, Any]:
        """State of the test, for JSON; nothing of X before the last answer, and the score only then."""
        is_complete = len(self._answers) == N_ROUNDS
        told: dict[str, Any] = {
            "is_running": self.is_running,
            "round": min(len(self._answers) + 1, N_ROUNDS),
            "rounds": N_ROUNDS,
            "heard": self._heard if self.is_running else None,
            "score": None,
            "p_value": None,
        }
        if is_complete:
            pairs = list(zip(self._rounds, self._answers, strict=True))
            score = sum(drawn == answered for drawn, answered in pairs)
            told |= {"score": score, "p_value": p_value(score, N_ROUNDS), "text": _in_words(score)}
            told["answers"] = [{"x": drawn, "answer": answered} for drawn, answered in pairs]
        return told

    def _check(self) -> None:
        if not self.is_running:
            raise ControlError("blind test: none runs; begin one with begin_blind_test, key x on the screen")


def p_value(score: int, n_rounds: int) -> float:
    """Probability that who only guesses is right so often or more: the upper tail of the binomial distribution."""
    return float(sum(math.comb(n_rounds, k) for k in range(score, n_rounds + 1)) / 2**n_rounds)


def _in_words(score: int) -> str:
    chance = p_value(score, N_ROUNDS)
    verdict = "you hear the difference" if chance < 0.05 else "that may be guessed"
    return f"{score} of {N_ROUNDS} right; by guessing alone that many or more come with p = {chance:.3f}: {verdict}"
