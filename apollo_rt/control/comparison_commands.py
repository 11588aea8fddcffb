"""Commands that compare the input with what is made of it: equally loud, and blind."""

from typing import Any

from apollo_rt.control.arguments import CHOICE, Argument
from apollo_rt.control.blind_test import INPUT, RESTORED, UNKNOWN
from apollo_rt.control.command_row import Command
from apollo_rt.control.controllable import Controllable, Reply


def _level_match(target: Controllable, given: dict[str, Any]) -> Reply:
    wanted = given.get("state")
    return target.level_match(None if wanted is None else wanted == "on")


def _begin(target: Controllable, _: dict[str, Any]) -> Reply:
    if target.get("delta") or not target.get("mix"):
        raise ValueError("begin_blind_test needs delta off and mix above 0, else there is nothing to compare")
    target.blind_test.begin()
    return target.blind_test.describe()


def _hear(target: Controllable, given: dict[str, Any]) -> Reply:
    target.blind_test.hear(given["what"])
    return target.blind_test.describe()


def _answer(target: Controllable, given: dict[str, Any]) -> Reply:
    target.blind_test.answer(given["what"])
    return target.blind_test.describe()


def _end(target: Controllable, _: dict[str, Any]) -> Reply:
    target.blind_test.end()
    return target.blind_test.describe()


COMPARISON_COMMANDS = (
    Command(
        "level_match",
        "Tell how loud input and restoration are; let bypass be as loud as the restoration, or not.",
        (Argument("state", CHOICE, "As it is, if not given.", choices=("on", "off"), is_required=False),),
        _level_match,
    ),
    Command("begin_blind_test", "Begin ten rounds in which X is the input or the restoration.", (), _begin),
    Command("blind_test", "Tell how the blind test stands.", (), lambda target, _: target.blind_test.describe()),
    Command(
        "hear", "In a blind test: hear the input, the restoration, or X.",
        (Argument("what", CHOICE, "What to hear.", choices=(INPUT, RESTORED, UNKNOWN)),), _hear,
    ),
    Command(
        "answer", "In a blind test: say what X is; the next round begins, or the score is told.",
        (Argument("what", CHOICE, "What X is.", choices=(INPUT, RESTORED)),), _answer,
    ),
    Command("end_blind_test", "End the blind test, finished or not.", (), _end),
)  # fmt: skip
