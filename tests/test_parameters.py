"""The table of parameters and the live values."""

import pytest

from apollo_rt.control.parameters import PARAMETERS, Parameters, parameter, wet_gain


def test_every_row_can_be_read_and_set_between_its_bounds_and_nowhere_else():
    for row in PARAMETERS:
        live = Parameters()
        assert live.get(row.name) == getattr(live, row.name) == row.default
        for value in (row.minimum, row.maximum):
            live.set(row.name, value)
            assert live.get(row.name) == value
        for value in (row.minimum - 0.1, row.maximum + 0.1, float("nan")):
            with pytest.raises(ValueError, match=f"{row.name} must be from .* got"):
                live.set(row.name, value)


def test_a_switch_has_no_middle():
    with pytest.raises(ValueError, match=r"bypass must be 0 or 1, got 0\.5"):
        Parameters(bypass=0.5)


def test_an_unknown_name_is_answered_with_those_that_exist():
    with pytest.raises(ValueError, match="one of mix, bypass, got 'wetness'"):
        Parameters().get("wetness")
    with pytest.raises(ValueError, match="one of mix, bypass"):
        parameter("Mix")


def test_the_wet_gain_is_mix_and_nothing_in_bypass():
    live = Parameters(mix=0.7)
    assert wet_gain(live.values) == 0.7
    live.bypass = True
    assert wet_gain(live.values) == 0
    live.bypass = False
    live.mix = 0.2
    assert wet_gain(live.values) == 0.2
