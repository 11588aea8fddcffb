"""The blind test: what is heard, what is told, and what chance would have done."""

import pytest

from apollo_rt.control.blind_test import INPUT, N_ROUNDS, RESTORED, UNKNOWN, BlindTest, p_value
from apollo_rt.errors import ControlError

ROUNDS = [INPUT, RESTORED, RESTORED, INPUT, INPUT, RESTORED, INPUT, RESTORED, RESTORED, RESTORED]


@pytest.fixture
def heard() -> list[str | None]:
    return []


@pytest.fixture
def test(heard: list[str | None]) -> BlindTest:
    drawn = iter(ROUNDS * 2)
    return BlindTest(heard.append, lambda: next(drawn))


def test_x_is_what_was_drawn_and_the_two_others_are_what_they_are_called(test, heard) -> None:
    test.begin()
    for round_, drawn in enumerate(ROUNDS):
        assert test.describe() == {
            "is_running": True, "round": round_ + 1, "rounds": N_ROUNDS, "heard": UNKNOWN, "score": None,
            "p_value": None,
        }  # fmt: skip
        assert heard[-1] == drawn
        for what in (INPUT, RESTORED):
            test.hear(what)
            assert heard[-1] == what
            assert test.describe()["heard"] == what
        test.answer(RESTORED)
    assert heard[-1] is None, "what bypass says is heard again"
    told = test.describe()
    assert (told["is_running"], told["score"], told["p_value"]) == (False, 6, pytest.approx(386 / 1024))
    assert [pair["x"] for pair in told["answers"]] == ROUNDS
    assert "6 of 10 right" in told["text"]
    assert "may be guessed" in told["text"]


def test_all_right_is_no_guessing(test) -> None:
    test.begin()
    for drawn in ROUNDS:
        test.answer(drawn)
    assert (test.describe()["score"], test.describe()["p_value"]) == (10, pytest.approx(1 / 1024))
    assert "you hear the difference" in test.describe()["text"]


def test_one_that_is_ended_tells_nothing_and_the_next_begins_anew(test, heard) -> None:
    test.begin()
    test.answer(INPUT)
    test.end()
    assert (test.describe()["score"], test.describe()["is_running"], heard[-1]) == (None, False, None)
    with pytest.raises(ControlError, match="begin_blind_test"):
        test.hear(UNKNOWN)
    with pytest.raises(ControlError, match="begin_blind_test"):
        test.answer(INPUT)
    test.begin()
    assert test.describe()["round"] == 1


def test_what_is_drawn_by_itself_is_either_about_equally_often() -> None:
    test = BlindTest(lambda _: None)
    drawn = []
    for _ in range(100):
        test.begin()
        drawn += test._rounds
    assert 400 < drawn.count(INPUT) < 600  # 6 standard deviations of 1000 fair draws


@pytest.mark.parametrize(("score", "expected"), [(0, 1.0), (5, 638 / 1024), (8, 56 / 1024), (9, 11 / 1024)])
def test_the_p_value_is_the_upper_tail_of_the_binomial_distribution(score, expected) -> None:
    assert p_value(score, 10) == pytest.approx(expected)
