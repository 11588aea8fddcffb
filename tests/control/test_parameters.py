"""The table of parameters and the live values."""

import pytest

from apollo_rt.control.parameters import PARAMETERS, Parameters, parameter


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


@pytest.mark.parametrize("value", ["0.5", None, [0.5], 1j])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match="mix must be a number, 0 to 1, got"):
        Parameters(mix=value)


def test_a_switch_has_no_middle():
    with pytest.raises(ValueError, match=r"bypass must be 0 or 1, got 0\.5"):
        Parameters(bypass=0.5)


def test_an_unknown_name_is_answered_with_those_that_exist():
    with pytest.raises(ValueError, match=r"one of mix, bypass, .*, got 'wetness'"):
        Parameters().get("wetness")
    with pytest.raises(ValueError, match="one of mix, bypass"):
        parameter("Mix")


def test_a_knob_goes_through_the_whole_range_and_back():
    for row in PARAMETERS:
        values = [row.value_at(position) for position in (-1.0, 0.0, 0.3, 0.5, 0.8, 1.0, 2.0)]
        assert values == sorted(values)
        assert (values[0], values[1], values[-2], values[-1]) == (row.minimum, row.minimum, row.maximum, row.maximum)
        assert all(row.check(value) == value for value in values)
        if not row.is_switch:
            assert row.position_of(values[2]) == pytest.approx(0.3)
        assert row.position_of(row.default) == pytest.approx(
            row.position_of(row.value_at(row.position_of(row.default)))
        )


def test_a_logarithmic_knob_has_the_geometric_mean_in_its_middle():
    assert parameter("crossover_hz").value_at(0.5) == pytest.approx((20 * 20_000) ** 0.5)


def test_keys_step_there_and_back_and_stop_at_the_bounds():
    for row in PARAMETERS:
        assert row.stepped(row.stepped(row.minimum, 1), -1) == pytest.approx(row.minimum)
        assert row.stepped(row.maximum, 1000) == row.maximum
        assert row.stepped(row.minimum, -1000) == row.minimum


def test_every_text_of_a_value_can_be_read_again():
    for row in PARAMETERS:
        for value in (row.minimum, row.default, row.maximum):
            assert row.parse(row.text(value)) == pytest.approx(value)
            assert row.parse(f"{value}") == value
    assert parameter("air_db").parse("-3 dB") == -3
    assert parameter("bypass").parse("on") == 1
    assert parameter("low_cut_hz").text(20.0) == "off"


@pytest.mark.parametrize(("name", "text"), [("mix", "much"), ("mix", "1.2"), ("bypass", "2"), ("air_db", "3 Hz")])
def test_a_text_that_names_no_value_is_refused_with_what_is_allowed(name, text):
    with pytest.raises(ValueError, match=f"{name} must be .*got"):
        parameter(name).parse(text)


def test_each_row_says_what_it_is():
    for row in PARAMETERS:
        assert row.description.endswith(".")
        assert row.settles_ms > 0
        assert row.step > (1 if row.scale == "log" else 0)
        assert row.description in getattr(Parameters, row.name).__doc__
