"""Boards: lists of effects of any kind, aligned to the sample however they are nested and however late they are."""

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pedalboard
import pytest
from pedalboard_native._internal import AddLatency

import apollo_rt
from apollo_rt import ApolloEffect, Board, Chain, Mix, load_model
from apollo_rt.config import Framing
from apollo_rt.effects.native_run import NativeRun
from tests.doubles import tiny_models
from tests.doubles.sounds import planar_noise
from tests.doubles.vst3_plugin import loaded, maximizer, vst3

RATE = 44_100


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """`same`: the input, 128 samples late; `later`: 1024 late; `half`: half the input, 128 late."""
    folder, other = (tmp_path_factory.mktemp("models") for _ in range(2))
    return {
        "same": load_model(tiny_models.identity(folder)),
        "half": load_model(tiny_models.gain(folder, 0.5)),
        "later": load_model(tiny_models.identity(other, Framing(hop_length=512, analysis_length=2048))),
    }


def impulse(at=1000, n_samples=20_000):
    samples = np.zeros((2, n_samples), np.float32)
    samples[:, at] = 0.5
    return samples


def streamed(effect, audio, sizes, sample_rate=RATE):
    """All blocks as they come out, and the latency."""
    blocks, begin, number = [], 0, 0
    while begin < audio.shape[1]:
        size = sizes[number % len(sizes)]
        block = audio[:, begin : begin + size]
        blocks.append(effect(block, sample_rate, reset=False))
        assert blocks[-1].shape == block.shape
        begin, number = begin + size, number + 1
    return np.concatenate(blocks, axis=1), effect.latency_samples


# --- the list --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[Board, Chain, Mix, pedalboard.Pedalboard, pedalboard.Chain, pedalboard.Mix])
def kind(request):
    """Containers of both houses, for what both can."""
    return request.param


class TestListOperations:
    def test_a_list_of_members_is_taken_and_none_is_an_empty_one(self, kind):
        one, other = pedalboard.Gain(1), pedalboard.Gain(2)
        for board in (kind([one, other]), kind((one, other))):
            assert len(board) == 2
            assert list(board) == [one, other]
            assert board[0] is one
            assert board[-1] is other
            assert one in board
            assert pedalboard.Gain(1) not in board
        assert len(kind([])) == 0

    def test_append_insert_replace_remove_and_delete(self, kind):
        a, b, c, d = (pedalboard.Gain(value) for value in range(4))
        board = kind([a])
        board.append(c)
        board.insert(1, b)
        assert list(board) == [a, b, c]
        board[0] = d
        board.remove(b)
        assert list(board) == [d, c]
        del board[0]
        assert list(board) == [c]

    @pytest.mark.parametrize("index", [2, -3])
    def test_beyond_the_end_is_an_index_error(self, kind, index):
        board = kind([pedalboard.Gain(), pedalboard.Gain()])
        with pytest.raises(IndexError):
            _ = board[index]
        with pytest.raises(IndexError):
            board[index] = pedalboard.Gain()
        with pytest.raises(IndexError):
            del board[index]

    def test_to_remove_what_is_not_there_is_a_value_error(self, kind):
        with pytest.raises(ValueError, match="not in"):
            kind([pedalboard.Gain()]).remove(pedalboard.Gain())

    @pytest.mark.parametrize("wrong", [3, "Gain", pedalboard.Gain, object()])
    def test_what_is_no_effect_is_a_type_error_and_changes_nothing(self, kind, wrong):
        board = kind([pedalboard.Gain()])
        for attempt in (
            lambda: board.append(wrong),
            lambda: board.insert(0, wrong),
            lambda: board.__setitem__(0, wrong),
            lambda: kind([wrong]),
        ):
            with pytest.raises(TypeError):
                attempt()
        assert len(board) == 1

    def test_its_text_counts_and_shows_its_members(self, kind):
        text = repr(kind([pedalboard.Gain(gain_db=5)]))
        assert f"{kind.__name__} with 1 plugin: [<pedalboard.Gain gain_db=5 " in text
        assert "with 2 plugins: " in repr(kind([pedalboard.Gain(), pedalboard.Gain()]))

    def test_the_same_member_twice_is_an_error_when_it_plays(self, kind):
        gain = pedalboard.Gain()
        with pytest.raises((ValueError, RuntimeError)):
            kind([gain, gain])(planar_noise(100), RATE)

    def test_nothing_in_it_passes_a_chain_and_is_silence_in_a_mix(self, kind):
        audio = planar_noise(500)
        expected = np.zeros_like(audio) if kind.__name__ == "Mix" else audio
        np.testing.assert_array_equal(kind([])(audio, RATE), expected)

    def test_none_is_an_empty_place(self, kind):
        gain, audio = pedalboard.Gain(-6), planar_noise(500)
        board = kind([None])
        assert (len(board), board[0]) == (1, None)
        np.testing.assert_array_equal(board(audio, RATE), audio)
        chain = kind([gain, None])
        expected = gain(audio, RATE) + (audio if kind.__name__ == "Mix" else 0)
        np.testing.assert_allclose(chain(audio, RATE), expected, atol=1e-6)

    def test_plugins_that_are_late_stay_in_step(self, kind):
        audio = planar_noise(20_000)
        board = kind([AddLatency(1000), AddLatency(3001)])
        for buffer_size in (128, 8192, 65_536):
            out = board(audio, RATE, buffer_size)
            np.testing.assert_allclose(out, (2 if kind.__name__ == "Mix" else 1) * audio, atol=1e-6)

    def test_chains_and_mixes_are_nested(self, kind):
        """One 6 dB louder and two of 6 dB less; 24 times 1 dB less, twice."""
        house = pedalboard if kind.__module__.startswith("pedalboard") else apollo_rt
        audio = planar_noise(2000)
        quieter = [house.Chain([pedalboard.Gain(-1) for _ in range(24)]) for _ in range(2)]
        board = house.Chain([pedalboard.Gain(6.0206), house.Mix([pedalboard.Gain(-6.0206)] * 1), house.Mix(quieter)])
        outer = kind([board])
        assert outer[0][0].gain_db == pytest.approx(6.0206)
        assert outer[0][2][1][-1].gain_db == -1
        np.testing.assert_allclose(outer(audio, RATE), 2 * 10 ** (-24 / 20) * audio, rtol=1e-3, atol=1e-6)

    def test_what_is_inside_a_python_list_is_no_member(self, kind):
        with pytest.raises(TypeError):
            kind([pedalboard.Gain(), [pedalboard.Gain()]])

    def test_boards_that_share_their_members_may_play_in_many_threads(self, kind):
        members, audio = [pedalboard.Reverb() for _ in range(8)], planar_noise(6000)
        boards = [kind(members), kind(members[::-1])] * 8
        expected = boards[0](audio, RATE)
        with ThreadPoolExecutor(len(boards)) as pool:
            for out in pool.map(lambda board: board(audio, RATE), boards):
                np.testing.assert_allclose(out, expected, atol=1e-5)

    def test_ours_that_are_shared_may_play_in_many_threads(self, models):
        effects = [ApolloEffect(0.5, models["half"]), ApolloEffect(model=models["same"]), pedalboard.Reverb()]
        boards, audio = [Board(effects), Board([Mix([Chain(effects[::-1])])]), effects[0]] * 4, planar_noise(6000)
        expected = [board(audio, RATE) for board in boards[:3]] * 4
        with ThreadPoolExecutor(len(boards)) as pool:
            for out, right in zip(pool.map(lambda board: board(audio, RATE), boards), expected, strict=True):
                np.testing.assert_allclose(out, right, atol=1e-5)

    def test_ours_can_what_every_list_can(self, models):
        a, b, c = (ApolloEffect(model=models["same"]) for _ in range(3))
        board = Board([a, b, c])
        assert board[1:] == [b, c]
        assert board[::-1] == [c, b, a]
        assert (board.index(b), board.count(c)) == (1, 1)
        board[0], board[2] = board[2], board[0]
        assert list(board) == [c, b, a]
        board.reverse()
        assert board.pop() is c
        board.extend([c])
        board += [ApolloEffect(model=models["same"])]
        assert len(board) == 4
        board[1:3] = []
        del board[-1:]
        assert list(board) == [a]
        board.clear()
        assert not board
        with pytest.raises(ValueError, match=r"ApolloEffect .* is not in <apollo_rt\.Board with 0 plugins"):
            board.index(a)

    def test_a_member_that_is_no_effect_is_named_and_what_may_be_one_is_said(self):
        with pytest.raises(TypeError, match=r"a plugin of pedalboard's, an ApolloEffect, .* got <class 'int'>"):
            Board([3])

    def test_it_cannot_be_inside_itself(self):
        inner = Chain()
        board = Board([Mix([inner])])
        for attempt in (lambda: board.append(board), lambda: inner.append(board)):
            with pytest.raises(ValueError, match="can't be put inside itself"):
                attempt()

    def test_a_member_in_two_places_of_a_tree_is_found_when_it_plays(self, models):
        effect, gain = ApolloEffect(model=models["same"]), pedalboard.Gain()
        for board in (Board([effect, Mix([effect])]), Board([gain, Mix([Chain([gain])])])):
            with pytest.raises(ValueError, match="one place only, got this one twice"):
                board(planar_noise(100), RATE)

    def test_copies_hold_the_same_members_and_pickles_new_ones(self, models):
        effect = ApolloEffect(0.3, models["half"])
        board = Board([effect, Mix([Chain()])])
        assert copy.copy(board)[0] is effect
        other = pickle.loads(pickle.dumps(board))
        assert (other[0].mix, type(other[1]), type(other[1][0])) == (0.3, Mix, Chain)
        np.testing.assert_array_equal(other(planar_noise(2000), RATE), board(planar_noise(2000), RATE))
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(Board([pedalboard.Gain()]))


# --- sound -----------------------------------------------------------------------------------------------------------


class TestSound:
    def test_native_plugins_alone_sound_as_in_a_pedalboard(self):
        def plugins():
            return [
                pedalboard.HighpassFilter(200),
                pedalboard.Chorus(),
                pedalboard.Compressor(-30, 4),
                pedalboard.Reverb(),
            ]

        audio = planar_noise(30_000)
        expected = pedalboard.Pedalboard(plugins())(audio, RATE)
        np.testing.assert_array_equal(Board(plugins())(audio, RATE), expected)
        np.testing.assert_array_equal(Board([Chain(plugins()[:2]), *plugins()[2:]])(audio, RATE), expected)

    def test_each_run_of_native_plugins_is_one_real_pedalboard(self, models, monkeypatch):
        made = []

        class Counting(NativeRun):
            def __init__(self, plugins):
                super().__init__(plugins)
                made.append(self.board)

        monkeypatch.setattr("apollo_rt.effects.board.NativeRun", Counting)
        native = [pedalboard.Gain(index) for index in range(5)]
        board = Board(
            [native[0], Chain([native[1], ApolloEffect(model=models["same"])]), Chain([native[2]]), *native[3:]]
        )
        board(planar_noise(100), RATE)
        assert [list(run) for run in made] == [native[:2], native[2:]]
        assert all(type(run) is pedalboard.Pedalboard for run in made)

    def test_ours_between_native_ones_is_the_three_called_in_turn(self, models):
        audio = planar_noise(20_000)
        board = Board([pedalboard.HighpassFilter(100), ApolloEffect(model=models["half"]), pedalboard.Limiter(-20)])
        by_hand = pedalboard.HighpassFilter(100)(audio, RATE)
        by_hand = ApolloEffect(model=models["half"])(by_hand, RATE)
        # Behind a latency the limiter hears the end of the silence before; its first block tells.
        by_hand = pedalboard.Limiter(-20)(by_hand, RATE)
        np.testing.assert_allclose(board(audio, RATE)[:, 5000:], by_hand[:, 5000:], atol=2e-3)

    def test_vst3s_stand_beside_native_plugins_and_ours_and_all_is_aligned(self, models):
        """A limiter with lookahead in one branch, somebody's maximizer behind: 220 and 480 samples late."""
        limiter, louder = (loaded(path()) for path in (vst3, maximizer))
        limiter.threshold_db = -1.0
        board = Board([Mix([Chain([limiter, pedalboard.Gain(-6)]), ApolloEffect(model=models["half"])]), louder])
        audio = impulse()
        whole = board(audio, RATE)
        assert np.argmax(np.abs(whole[0])) == 1000
        assert whole[0, 1000] == pytest.approx(0.5 * (10 ** (-6 / 20) + 0.5), abs=1e-3)
        latency = board.latency_samples
        assert latency >= 220 + 480
        blocks, lag = streamed(board, np.pad(audio, ((0, 0), (0, latency))), [512, 100, 4096])
        assert lag == latency
        np.testing.assert_allclose(blocks[:, latency:], whole, atol=1e-5)

    def test_a_mix_is_the_sum_of_its_branches(self, models):
        audio = planar_noise(9000)
        board = Mix([ApolloEffect(model=models["half"]), pedalboard.Gain(0), Chain([pedalboard.Invert()])])
        np.testing.assert_allclose(board(audio, RATE), 0.5 * audio, atol=1e-6)

    @pytest.mark.parametrize("channels", [1, 2])
    def test_mono_and_stereo_go_through_alike(self, models, channels):
        audio = planar_noise(5000, channels)
        board = Board([pedalboard.Gain(6.0206), ApolloEffect(model=models["half"])])
        np.testing.assert_allclose(board(audio, RATE), audio, atol=1e-5)

    def test_settings_of_members_can_be_changed_while_it_streams(self, models):
        effect, gain = ApolloEffect(model=models["same"]), pedalboard.Gain(0)
        board, audio = Board([effect, gain]), np.full((2, 2000), 0.25, np.float32)
        board(audio, RATE, reset=False)
        gain.gain_db, effect.output_gain_db = -6.0206, -6.0206
        board(audio, RATE, reset=False)
        np.testing.assert_allclose(board(audio, RATE, reset=False), 0.0625, atol=1e-5)


# --- time ------------------------------------------------------------------------------------------------------------

TREES = {
    "nothing": (lambda m: Board(), 0),
    "native": (lambda m: Board([pedalboard.Gain(0)]), 0),
    "one": (lambda m: Board([ApolloEffect(model=m["same"])]), 128),
    "two": (lambda m: Board([ApolloEffect(model=m["same"]), ApolloEffect(model=m["later"])]), 1152),
    "between": (lambda m: Board([pedalboard.Gain(0), ApolloEffect(model=m["later"]), pedalboard.Gain(0)]), 1024),
    "mix": (lambda m: Mix([ApolloEffect(model=m["later"]), ApolloEffect(model=m["same"]), pedalboard.Gain(0)]), 1024),
    "nested": (
        lambda m: Board(
            [
                Mix(
                    [
                        Chain([ApolloEffect(model=m["same"]), ApolloEffect(model=m["same"])]),
                        Mix([Chain([ApolloEffect(model=m["later"]), pedalboard.Gain(0)]), Chain()]),
                        pedalboard.Gain(0),
                    ]
                ),
                ApolloEffect(model=m["same"]),
            ]
        ),
        1152,
    ),
    "board in board": (lambda m: Board([Board([ApolloEffect(model=m["same"])]), Board()]), 128),
    "native containers": (
        lambda m: Mix([pedalboard.Chain([pedalboard.Gain(0)]), ApolloEffect(model=m["same"]),
                       pedalboard.Mix([pedalboard.Gain(0), pedalboard.Gain(0)])]),
        128,
    ),
}  # fmt: skip
LATE = {
    "late native": lambda m: Board([pedalboard.Resample(22_050)]),
    "late native and ours": lambda m: Board([pedalboard.Resample(22_050), ApolloEffect(model=m["same"])]),
    "late branches": lambda m: Mix([pedalboard.Resample(22_050), ApolloEffect(model=m["later"]), pedalboard.Gain(0)]),
    "mp3": lambda m: Board([pedalboard.Gain(0), pedalboard.MP3Compressor(1.0), ApolloEffect(model=m["same"])]),
}


class TestTime:
    @pytest.mark.parametrize("tree", TREES)
    def test_the_latency_is_the_sum_in_a_chain_and_the_greatest_in_a_mix(self, models, tree):
        make, latency = TREES[tree]
        board = make(models)
        assert board.latency_samples == latency
        board(planar_noise(10), RATE, reset=False)
        assert board.latency_samples == latency

    @pytest.mark.parametrize("tree", [*TREES, *LATE])
    def test_a_whole_call_is_aligned_to_the_sample(self, models, tree):
        board = TREES[tree][0](models) if tree in TREES else LATE[tree](models)
        out = board(impulse(), RATE)
        assert out.shape == (2, 20_000)
        assert np.abs(out).argmax(axis=1).tolist() == [1000, 1000]
        if tree in TREES:  # nothing else: every branch's impulse fell on the same sample
            assert np.count_nonzero(np.abs(out) > 1e-5) == 2

    @pytest.mark.parametrize("tree", [*TREES, *LATE])
    @pytest.mark.parametrize("sizes", [[700], [64, 1, 2, 5000], [20_000]])
    def test_a_stream_lags_by_exactly_its_latency_whatever_the_blocks(self, models, tree, sizes):
        board = TREES[tree][0](models) if tree in TREES else LATE[tree](models)
        out, latency = streamed(board, impulse(), sizes)
        assert np.abs(out).argmax(axis=1).tolist() == [1000 + latency] * 2

    @pytest.mark.parametrize("tree", [*TREES, *LATE])
    def test_a_stream_equals_the_whole(self, models, tree):
        make = TREES[tree][0] if tree in TREES else LATE[tree]
        audio = planar_noise(12_000)
        padded = np.pad(audio, ((0, 0), (0, make(models).latency_samples)))
        whole = make(models)(audio, RATE)
        out, latency = streamed(make(models), padded, [333, 64, 4096])
        np.testing.assert_allclose(out[:, latency:], whole, atol=1e-5)

    @pytest.mark.parametrize("sample_rate", [48_000, 96_000])
    def test_branches_of_different_kind_stay_aligned_at_other_sample_rates(self, models, sample_rate):
        board = Mix([ApolloEffect(model=models["later"]), ApolloEffect(model=models["same"]), pedalboard.Gain(0)])
        time = np.arange(20_000) / sample_rate
        tone = np.tile(0.1 * np.sin(2 * np.pi * 3000 * time), (2, 1)).astype(np.float32)
        inside = slice(4000, -4000)
        np.testing.assert_allclose(board(tone, sample_rate)[:, inside], 3 * tone[:, inside], atol=1e-4)

    def test_a_change_of_the_list_begins_a_new_stream_of_another_latency(self, models):
        inner = Chain([ApolloEffect(model=models["same"])])
        board = Board([inner])
        board(planar_noise(500), RATE, reset=False)
        inner.append(ApolloEffect(model=models["later"]))
        assert board.latency_samples == 1152
        out, latency = streamed(board, impulse(), [512])
        assert (np.abs(out).argmax(axis=1) - 1000).tolist() == [latency] * 2

    def test_after_reset_it_is_as_new(self, models):
        board, audio = TREES["nested"][0](models), planar_noise(5000)
        first = board(audio, RATE, reset=False)
        board(planar_noise(99, seed=1), RATE, reset=False)
        board.reset()
        np.testing.assert_array_equal(board(audio, RATE, reset=False), first)

    def test_a_plugin_that_holds_more_back_than_before_is_an_error_not_a_shift(self):
        board = Board([pedalboard.MP3Compressor(1.0)])
        board(planar_noise(512), RATE, reset=False)
        board._node._nodes[0]._queue = np.zeros((2, 0), np.float32)
        with pytest.raises(RuntimeError, match="call reset"):
            board(planar_noise(512), RATE, reset=False)


def test_without_pedalboard_installed_a_board_of_ours_works(models):
    program = (
        "import sys; sys.modules['pedalboard'] = None; import numpy as np;"
        "from apollo_rt import ApolloEffect, Board, Mix;"
        "print(Board([Mix([ApolloEffect(model=sys.argv[1])])])(np.zeros((2, 100), np.float32), 44100).shape)"
    )
    out = subprocess.check_output([sys.executable, "-c", program, models["same"].card.path], text=True)
    assert out.strip() == "(2, 100)"


# --- plugins that can't stream ---------------------------------------------------------------------------------------

WHOLE_ONLY = [lambda: pedalboard.PitchShift(2), pedalboard.GSMFullRateCompressor]


def two_tones(n_samples=RATE):
    t = np.arange(n_samples) / RATE
    return 0.3 * np.stack([np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 660 * t)]).astype(np.float32)


@pytest.mark.parametrize("make", WHOLE_ONLY)
@pytest.mark.parametrize("buffer_size", [512, 8192])
def test_a_plugin_that_can_not_stream_plays_whole_as_pedalboard_plays_it(make, buffer_size):
    audio = two_tones()
    wanted = pedalboard.Pedalboard([make()])(audio, RATE)
    assert np.sqrt(np.mean(wanted**2)) > 0.1
    for board in (Board([make()]), Board([Chain([pedalboard.Mix([make()])])]), Mix([make()])):
        for _ in range(2):
            np.testing.assert_array_equal(board(audio, RATE, buffer_size), wanted)


@pytest.mark.parametrize("make", WHOLE_ONLY)
def test_it_stands_beside_what_is_late_and_all_stays_in_place(make, models):
    audio = two_tones()
    before, after = (
        pedalboard.Pedalboard([make()])(audio, RATE),
        Board([ApolloEffect(model=models["later"])])(audio, RATE),
    )
    board = Mix([make(), Board([ApolloEffect(model=models["later"])])])
    np.testing.assert_allclose(board(audio, RATE), before + after, atol=1e-6)
    chain = Board([ApolloEffect(model=models["half"]), make(), pedalboard.Gain(6)])
    wanted = pedalboard.Pedalboard([make(), pedalboard.Gain(6)])(
        Board([ApolloEffect(model=models["half"])])(audio, RATE), RATE
    )
    np.testing.assert_allclose(chain(audio, RATE), wanted, atol=1e-6)


@pytest.mark.parametrize("make", WHOLE_ONLY)
@pytest.mark.parametrize("n_samples", [0, 1, 2, 63, 64, 1000])
def test_it_takes_any_length(make, n_samples):
    for channels in (1, 2):
        assert Board([make()])(planar_noise(n_samples, channels), RATE).shape == (channels, n_samples)


@pytest.mark.parametrize("make", WHOLE_ONLY)
def test_it_refuses_to_stream_with_the_reason_wherever_it_is_inside(make):
    for board in (Board([make()]), Mix([Chain([pedalboard.Chain([make()])])]), Board([pedalboard.Gain(1), make()])):
        with pytest.raises(
            ValueError, match=r"(PitchShift|GSM\w+) can't stream: block by block it returns .*reset=True"
        ):
            board(two_tones(512), RATE, reset=False)
        with pytest.raises(ValueError, match="can't stream"):
            _ = board.latency_samples
        board(two_tones(512), RATE)


def test_what_can_stream_plays_whole_as_pedalboard_does_and_no_other_plugin_is_silent():
    """Siblings of those two would be found here: each effect of Pedalboard's, whole, by both houses."""
    audio = two_tones(RATE // 2)
    kinds = [
        kind for kind in vars(pedalboard).values() if isinstance(kind, type) and issubclass(kind, pedalboard.Plugin)
    ]
    tried = 0
    for kind in kinds:
        try:
            ours, theirs = kind(), kind()
        except (TypeError, RuntimeError):
            continue  # it needs something, or is no effect
        if isinstance(ours, pedalboard.PluginContainer):
            continue
        wanted = pedalboard.Pedalboard([theirs])(audio, RATE)
        np.testing.assert_allclose(Board([ours])(audio, RATE), wanted, atol=1e-4, err_msg=kind.__name__)
        tried += 1
    assert tried >= 20
