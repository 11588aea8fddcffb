"""What the screen's widgets draw, line by line, without a terminal."""

from dataclasses import replace

import numpy as np
import pytest

from apollo_rt.control.parameters import PARAMETERS, Parameter
from apollo_rt.latency import LatencyReport
from apollo_rt.live.endpoints.driver import Clocks
from apollo_rt.live.monitoring.durations import Durations
from apollo_rt.live.monitoring.snapshot import Meter
from apollo_rt.live.monitoring.spectra import N_BANDS, Spectra
from apollo_rt.screen.headline import Headline
from apollo_rt.screen.latency_bar import LatencyBar
from apollo_rt.screen.level_meter import LevelMeter
from apollo_rt.screen.message_line import MessageLine
from apollo_rt.screen.parameter_panel import ParameterTable, fitting_name
from apollo_rt.screen.spectrum_plot import SpectrumPlot
from apollo_rt.screen.work_panel import WorkPanel
from tests.doubles.still_engine import LATENCY, QUIET

EDGES_HZ = np.geomspace(30.0, 20_000.0, N_BANDS + 1)
CENTRES_HZ = np.sqrt(EDGES_HZ[1:] * EDGES_HZ[:-1])


def text_of(lines):
    return ["".join(text for text, _ in line) for line in lines]


def inks_at(line):
    """The ink of each cell."""
    return [ink for text, ink in line for _ in text]


def spectra(before_db, after_db):
    return Spectra(CENTRES_HZ, EDGES_HZ, np.asarray(before_db, float), np.asarray(after_db, float))


def plot_of(before_db, after_db, width=68, height=10, elapsed_s=5.0):
    plot = SpectrumPlot()
    plot.show(spectra(before_db, after_db), elapsed_s)
    return plot.paint(width, height)


def test_of_a_plugins_long_name_the_parameter_is_seen_and_sliders_stay():
    names = ("highpass_filter.bypass", "highpass_filter.cutoff_frequency_hz", "limiter.threshold_db")
    rows = [Parameter(name, "Hz", 0.0, 1.0, 0.0, "Of a plugin.", 1.0) for name in names]
    assert [fitting_name(row, 16) for row in rows] == ["highpas….bypass ", "hig….cutoff fre…", "limi….threshold "]
    assert fitting_name(rows[1], 40).rstrip() == "highpass filter.cutoff frequency"
    usual = {row.name: row.default for row in (*PARAMETERS, *rows)}
    table = ParameterTable(lambda: [*PARAMETERS, *rows], usual.__getitem__)
    sliders = [line for line in text_of(table.paint(41, 13)) if "●" in line]
    assert len(sliders) == 9
    assert all(len(line) == 41 for line in sliders)
    assert table._slider_width(41) == 13
    assert ParameterTable(lambda: PARAMETERS, lambda _: 0.0)._name_width(100) == 13


def test_the_band_above_the_codecs_cut_has_a_colour_of_its_own_and_what_was_there_has_not():
    has_sound = CENTRES_HZ < 5000.0
    lines = plot_of(np.where(has_sound, -30.0, -120.0), np.full(N_BANDS, -30.0))
    n_below = 4 + int(np.count_nonzero(has_sound))
    inks = inks_at(lines[6])
    assert set(inks[4:n_below]) == {"before"}
    assert set(inks[n_below:]) == {"restored"}


def test_both_spectra_are_seen_where_one_is_above_the_other():
    """Four rows of -90 to 0 dB: 22.5 dB each; the output is one row above the input, and one below it."""
    higher = inks_at(plot_of([-67.5] * N_BANDS, [-45.0] * N_BANDS, height=5)[2])
    lower = inks_at(plot_of([-45.0] * N_BANDS, [-67.5] * N_BANDS, height=5)[2])
    assert set(higher[4:]) == {"added"}
    assert set(lower[4:]) == {"lowered"}


def test_a_cell_in_which_the_input_ends_below_the_output_shows_both():
    (line,) = [
        line for line in plot_of([-42.0] * N_BANDS, [-20.0] * N_BANDS) if "before on added" in inks_at(line)
    ]  # fmt: skip
    assert set(inks_at(line)[4:]) == {"before on added"}


def test_levels_rise_at_once_and_fall_slowly():
    plot = SpectrumPlot()
    loud, quiet = spectra([-10.0] * N_BANDS, [-10.0] * N_BANDS), spectra([-80.0] * N_BANDS, [-80.0] * N_BANDS)

    def height():
        return sum("before" in inks_at(line) for line in plot.paint(68, 46))

    plot.show(quiet, 0.1)
    low = height()
    plot.show(loud, 0.1)
    high = height()
    plot.show(quiet, 0.1)
    falling = height()
    for _ in range(50):
        plot.show(quiet, 0.1)
    assert low < falling < high
    assert height() == low


@pytest.mark.parametrize("width", [40, 68, 200])
def test_the_scale_of_frequencies_stands_below_the_bands(width):
    lines = plot_of(np.where(CENTRES_HZ < 1000.0, -20.0, -120.0), np.where(CENTRES_HZ < 1000.0, -20.0, -120.0), width)
    last = text_of(lines)[-1]
    assert len(last) == width
    edge = inks_at(lines[-2]).index("text" if "text" in inks_at(lines[-2]) else "line")
    assert last.index("1k") in range(edge - 3, edge + 3)
    assert last.rstrip().endswith("20k") or width < 60


def test_a_plot_without_room_is_empty():
    assert plot_of([-20.0] * N_BANDS, [-20.0] * N_BANDS, width=8) == []
    assert plot_of([-20.0] * N_BANDS, [-20.0] * N_BANDS, height=2) == []


def level(*peaks):
    return replace(QUIET, input=Meter(peaks[:2], (0.01, 0.01)), output=Meter(peaks[2:], (0.01, 0.01)))


def test_the_meter_holds_a_peak_for_a_while_and_then_lets_it_fall():
    meter = LevelMeter()
    meter.show(level(0.5, 0.25, 1.0, 0.0), 0.1)
    assert meter.held_db == pytest.approx((-6.02, -12.04, 0.0, -60.0), abs=0.01)
    for _ in range(14):
        meter.show(level(0.01, 0.01, 0.01, 0.0), 0.1)
    assert meter.held_db[0] == pytest.approx(-6.02, abs=0.01), "it is held for 1.5 s"
    meter.show(level(0.01, 0.01, 0.01, 0.0), 0.2)
    assert -12.0 < meter.held_db[0] < -6.1
    for _ in range(40):
        meter.show(level(0.01, 0.01, 0.01, 0.0), 0.1)
    assert meter.held_db == pytest.approx((-40.0, -40.0, -40.0, -60.0), abs=0.01), "it stays on the level"
    assert [line.split()[-1] for line in text_of(meter.paint(40, 4))] == ["-40.0", "-40.0", "-40.0", "-∞"]


def test_a_bar_is_as_long_as_its_level_and_turns_warm_and_hot():
    meter = LevelMeter()
    meter.show(level(1.0, 0.001, 0.1, 10.0 ** (-7.0 / 20)), 0.1)
    bars = [inks_at(line)[6:-6] for line in meter.paint(72, 4)]
    lit = [sum(ink not in ("line", "faint") for ink in bar) for bar in bars]
    assert lit == [60, 0, 40, 53]
    assert [sorted(set(bar) - {"line"}) for bar in bars] == [["good", "hot", "warm"], [], ["good"], ["good", "warm"]]


def test_what_was_clipped_is_said_for_a_moment():
    meter = LevelMeter()
    meter.show(replace(level(0.5, 0.5, 1.0, 1.0), clipped_samples=5), 0.1)
    assert "CLIPPED" not in str(meter.border_title), "what was clipped before the screen came is over"
    meter.show(replace(level(0.5, 0.5, 1.0, 1.0), clipped_samples=6), 0.1)
    assert "CLIPPED" in str(meter.border_title)
    meter.show(replace(level(0.5, 0.5, 1.0, 1.0), clipped_samples=6), 5.0)
    assert "CLIPPED" not in str(meter.border_title)


def test_the_latency_is_stacked_of_its_terms_in_proportion_and_each_is_named():
    bar = LatencyBar()
    bar.show(LATENCY)
    stack, legend = bar.paint(99, 2)
    total_ms = LATENCY.total_ms
    assert bar.border_title == f"latency {total_ms:.1f} ms"
    assert sum(len(text) for text, _ in stack) == 99
    for (text, _), term in zip(stack, LATENCY.terms(), strict=True):
        assert len(text) == pytest.approx(99 * term.ms / total_ms, abs=1.01)
    assert len({ink for _, ink in stack}) == 5
    said = text_of([stack])[0] + text_of([legend])[0]
    for wanted in ("device input 11.2", "algorithmic 11.6", "rebuffering 2.9", "headroom 7.3", "device output 16.7"):
        assert wanted in said


def test_two_clocks_and_their_ring_stand_beside_the_latency():
    bar = LatencyBar()
    bar.show(LATENCY, Clocks(-12.34, 511.6, 512.0, 48_000, 0))
    assert str(bar.border_title).endswith(" ms, clocks -12.3 ppm apart, ring 512 of 512")


def test_terms_that_are_nothing_are_left_out():
    bar = LatencyBar()
    bar.show(LatencyReport(44_100, 512, 0, 320))
    assert [text.strip() for text, _ in bar.paint(80, 2)[0]] == ["algorithmic 11.6", "headroom 7.3"]


def test_load_is_drawn_for_each_second_and_one_with_misses_is_marked():
    panel = WorkPanel()
    for second, (percent, n_missed) in enumerate([(25.0, 0), (50.0, 0), (100.0, 3), (12.5, 3)]):
        for tenth in range(10):
            state = replace(QUIET, elapsed_s=second + tenth / 10, load_percent=percent, deadline_misses=n_missed)
            panel.show(state)
    line = panel.paint(40, 5)[0]
    assert text_of([line]) == ["load  12 % ▂▄█▁"]
    assert [ink for _, ink in line[2:]] == ["accent", "accent", "hot", "accent"]


def test_a_minute_of_load_is_kept_and_the_newest_of_it_shown_where_there_is_less_room():
    panel = WorkPanel()
    for second in range(100):
        panel.show(replace(QUIET, elapsed_s=float(second), load_percent=100.0 if second >= 90 else 12.5))
    assert text_of(panel.paint(80, 5))[0] == "load 100 % " + "▁" * 50 + "█" * 10
    assert text_of(panel.paint(31, 5))[0] == "load 100 % " + "▁" * 10 + "█" * 10


def test_tails_misses_and_xruns_of_the_whole_run_and_of_the_last_10_s_are_shown():
    panel = WorkPanel()
    counts = {**QUIET.recent.counts, "deadline_misses": 2, "output_underflow": 1}
    recent = replace(QUIET.recent, step_ms=Durations(90, 1.2, 1.4, 3.21, 3.3, 3.4), counts=counts)
    panel.show(
        replace(QUIET, step_ms=Durations(900, 1.21, 1.4, 2.34, 3.0, 4.56), deadline_misses=7, output_underflow=3,
                recent=recent)
    )  # fmt: skip
    assert text_of(panel.paint(38, 5))[1:5] == [
        "step, ms    p50    p99  p99.9    max",
        "all        1.21   2.34   3.00   4.56",
        "10 s       1.20   3.21   3.30   3.40",
        "misses 7 (2)  xruns 3 (1)  in 10 s",
    ]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_headline_never_loses_what_is_heard(width):
    line = Headline()
    line.show(
        ("a loopback with a long name (PulseAudio)", "speakers (PulseAudio)"), "model full", "B", ("BYPASS", "warm")
    )
    (text,) = text_of(line.paint(width, 1))
    assert len(text) == width
    assert text.endswith(" BYPASS ")
    assert "model full" in text


def test_of_files_that_find_no_room_only_the_last_part_is_shown():
    line = Headline()
    line.show(("/home/somebody/music/radio/song.mp3", "/tmp/out.flac"), "apollo full", "A", ("RESTORING", "good"))
    assert " song.mp3 → out.flac · apollo full" in text_of(line.paint(80, 1))[0]
    assert " /home/somebody/music/radio/song.mp3 → /tmp/out.flac · apollo full" in text_of(line.paint(120, 1))[0]


def test_the_newest_message_stands_on_the_screen_and_how_many_more_there_are():
    line = MessageLine()
    line.quiet = "worker normal"
    assert text_of(line.paint(60, 1)) == [" worker normal"]
    line.add(["3 hops [late]"])
    line.add(["first", "the device is gone"])
    (text,) = text_of(line.paint(60, 1))
    assert "the device is gone" in text
    assert text.endswith("(m: 2 more) ")
    assert [said.text for said in line.said] == ["3 hops [late]", "first", "the device is gone"]
    assert len(text_of(line.paint(60, 3))) == 3
