"""Evaluation as a whole: every clip, damage and system once, kept, taken up again, reported, and a page that plays."""

import csv
import http.server
import json
import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from apollo_rt.config import Framing
from tests.doubles import tiny_models
from training.evaluation import evaluate, figures, listening, measure, metrics, report, summary, systems
from training.evaluation.judge import NAMES, Audio, Scores, as_tensor
from training.evaluation.measure import Row
from training.evaluation.selection import Clip, Part
from training.evaluation.systems import BASELINES, System
from training.nets import checkpoint
from training.nets.causal_restorer import Restorer
from training.nets.net_config import ModelConfig

RATE = 44_100
BROWSER = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), "")


def quick_scores(audio: Audio, damaged: Audio, clean: Audio, cut_hz: float | None) -> Scores:
    """Instead of the models of hearing: numbers that tell signals apart."""
    sdr = metrics.sdr_db(as_tensor(audio), as_tensor(clean))
    change = metrics.change_db(as_tensor(audio), as_tensor(damaged))
    known = {"sdr_db": sdr, "lsd": 1.0, "lsd_above": cut_hz, "visqol": sdr / 10, "change_db": change}
    return Scores(**(dict.fromkeys(NAMES) | known))


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Audio]:
    """What was put before the judge."""
    seen: list[Audio] = []

    def judge(audio: Audio, *beside: Any) -> Scores:
        seen.append(audio)
        return quick_scores(audio, *beside)

    monkeypatch.setattr(measure, "_judge", lambda: judge)
    return seen


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A folder of two short clips."""
    folder = tmp_path / "music"
    folder.mkdir()
    for seed, name in enumerate(("vocals", "drums")):
        random = np.random.default_rng(seed)
        soundfile.write(folder / f"{name}.wav", random.standard_normal((RATE, 2)) * 0.05, RATE, "FLOAT")
    return folder


def run(music: Path, *arguments: str | Path) -> Result:
    kept = music.parent / "kept"
    return CliRunner().invoke(
        evaluate.command, ["--data", str(music), "--workers", "1", "--kept", str(kept), *map(str, arguments)]
    )


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "rows.csv").open() as file:
        return list(csv.DictReader(file))


def row(
    clip: str = "a", kind: str = "vocal", damage: str = "mp3-48", system: str = "x", part: Part = "music",
    **scores: float | None,
) -> Row:  # fmt: skip
    zeros = dict.fromkeys(NAMES, 0.0)
    return Row(clip, part, kind, damage, system, None, replace(Scores(**zeros), **scores))


def test_every_clip_meets_every_damage_and_system_in_order(judged: list[Audio], music: Path, tmp_path: Path) -> None:
    model = tiny_models.identity(tmp_path)
    done = run(music, "--model", model, "--kbps", "48,0", "--out", tmp_path / "out", "--listen", "0")
    assert done.exit_code == 0, done.output
    found = [(row["clip"], row["kind"], row["damage"], row["system"]) for row in rows_of(tmp_path / "out")]
    assert found == [
        (clip, kind, damage, system)
        for clip, kind in (("drums", "single stem"), ("vocals", "vocal"))
        for damage in ("mp3-48", "clean")
        for system in ("untouched", "exciter", "identity")
    ]
    assert "## identity: decoded -> restored" in done.output
    assert "| mp3-48 | " in done.output


def test_a_model_file_is_measured_through_the_streaming_engine_and_aligned(music: Path, tmp_path: Path) -> None:
    restore = systems.load(*systems.of_file(tiny_models.delay_one_frame(tmp_path)))
    clip = measure.load(music / "drums.wav")
    hop = tiny_models.SMALL.hop_length
    np.testing.assert_allclose(restore(clip, None)[hop:], clip[:-hop], rtol=0, atol=1e-5)


def test_a_checkpoint_is_measured_too(music: Path, tmp_path: Path) -> None:
    framing = Framing(hop_length=64, analysis_length=256)
    net = Restorer(ModelConfig(framing=framing, band_groups=((8, 8), (4, 16)), width=16, dilations=(1, 2)))
    path = tmp_path / "net.pt"
    checkpoint.save(path, config=checkpoint.config_to_dict(net.config), averaged=net.state_dict())
    clip = measure.load(music / "drums.wav")
    restored = systems.load(*systems.of_file(path))(clip, None)
    assert restored.shape == clip.shape
    np.testing.assert_allclose(restored, clip, rtol=0, atol=1e-3)


def test_a_twin_is_named_so_and_each_tier_is_a_system_of_its_own(tmp_path: Path) -> None:
    model, twin = tiny_models.identity(tmp_path), tmp_path / "twin.pt"
    twin.touch()
    chosen = evaluate._systems([model], ["full", "light"], twin)
    assert [(system.name, system.tier) for system in chosen] == [
        ("identity full", "full"), ("identity light", "light"), ("non-causal twin", None),
    ]  # fmt: skip
    assert len({system.identity for system in (*BASELINES, *chosen)}) == 5


def test_a_second_run_measures_nothing_again_and_says_the_same(
    judged: list[Audio], music: Path, tmp_path: Path
) -> None:
    arguments = ("--model", tiny_models.identity(tmp_path), "--kbps", "48")
    first = run(music, *arguments)
    assert len(judged) == 6
    second = run(music, *arguments)
    assert len(judged) == 6
    assert second.stdout == first.stdout


def test_a_run_that_was_broken_off_goes_on_where_it_stopped(judged: list[Audio], music: Path, tmp_path: Path) -> None:
    arguments = ("--model", tiny_models.identity(tmp_path), "--kbps", "48")
    first = run(music, *arguments)
    kept = sorted((tmp_path / "kept").rglob("*.json"))
    kept[0].unlink()
    kept[1].write_text(kept[1].read_text()[:20])
    assert run(music, *arguments).stdout == first.stdout
    assert len(judged) == 8


def test_another_model_of_the_same_name_is_measured_anew(judged: list[Audio], music: Path, tmp_path: Path) -> None:
    run(music, "--model", tiny_models.gain(tmp_path, 0.5), "--kbps", "48")
    assert len(judged) == 6
    run(music, "--model", tiny_models.gain(tmp_path, 0.25), "--kbps", "48")
    assert len(judged) == 8
    np.testing.assert_allclose(judged[6], judged[2] / 2, rtol=0, atol=1e-5)


def test_two_processes_give_the_rows_of_one_in_the_same_order(judged: list[Audio], music: Path, tmp_path: Path) -> None:
    clips = [Clip(Path(name), "music", "unknown") for name in ("vocals.wav", "drums.wav")]
    tasks = measure.plan(music, clips, ["mp3-64", "mp3-32"], BASELINES, tmp_path / "kept")
    alone = list(measure.run(tasks, 1))
    assert [rows[0].clip for rows in alone] == ["vocals", "vocals", "drums", "drums"]
    assert list(measure.run(tasks, 2)) == alone
    assert len(judged) == 8


def test_the_limit_spreads_over_the_folder(judged: list[Audio], tmp_path: Path) -> None:
    folder = tmp_path / "music"
    folder.mkdir()
    for name in "abcdef":
        soundfile.write(folder / f"{name}.wav", np.full((3000, 2), 0.1), RATE)
    run(folder, "--limit", "3", "--kbps", "0", "--model", tiny_models.identity(tmp_path), "--out", tmp_path / "out")
    assert [row["clip"] for row in rows_of(tmp_path / "out") if row["system"] == "untouched"] == ["a", "c", "e"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kbps", "48,loud"], "--kbps must be whole numbers"),
        (["--damages", "wmv-64"], "'wmv-64' is no damage"),
        (["--kbps", ""], "name no damage"),
        (["--part", "probes"], "holds none of probes"),
        (["--tier", "huge"], "tier must be one of"),
        (["--model", "music/vocals.wav"], "is no checkpoint"),
        (["--model", "a/same.onnx", "--model", "b/same.onnx"], "two systems would be named 'same'"),
        (["--data", "empty"], "must hold music"),
    ],
)
def test_what_cannot_be_measured_is_one_clear_line(
    music: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(music.parent)
    for folder in ("a", "b", "empty"):
        Path(folder).mkdir()
        if folder != "empty":
            tiny_models.identity(Path(folder)).rename(f"{folder}/same.onnx")
    done = run(music, *arguments)
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert done.output.count("\n") == 1
    assert said in done.output


def test_means_and_spreads_count_each_clip_once() -> None:
    rows = [
        row("a", lsd=1.0), row("a", damage="mp3-64", lsd=3.0), row("b", lsd=6.0), row("b", damage="clean", lsd=99.0),
        row("a", system="y", lsd=7.0), row("b", system="y", lsd=7.0, lsd_above=None), row("a", damage="clean", lsd=0.0),
    ]  # fmt: skip
    table = summary.by_damage(rows)
    assert list(table) == ["mp3-48", "mp3-64", summary.DAMAGED, "clean"]
    together = table[summary.DAMAGED]["x"]["lsd"]
    assert together is not None
    assert (together.mean, together.n_items) == (4.0, 2)  # clips: (1 + 3) / 2 and 6
    assert together.spread == pytest.approx(8**0.5)
    above = table["mp3-48"]["y"]["lsd_above"]
    assert above is not None
    assert (above.mean, above.spread, above.n_items) == (0.0, 0.0, 1)
    by_clip = summary.by_clip(summary.damaged(rows))["a"]["x"]["lsd"]
    assert by_clip == summary.Statistic(2.0, 2**0.5, 2, ("mp3-48", 1.0), ("mp3-64", 3.0))
    assert list(summary.by_kind(rows)) == ["vocal", "overall"]
    assert summary.as_json(table)["mp3-64"]["x"]["lsd"] == 3.0


def test_a_measure_without_meaning_anywhere_has_no_column_and_else_an_empty_cell() -> None:
    rows = [row(lsd=1.234, lsd_above=None, change_db=None), row("b", system="y", lsd=2.0, lsd_above=None)]
    lines = report.table(summary.by_damage(rows), "damage", ("lsd", "lsd_above", "change_db"), "lsd").splitlines()
    assert lines[0] == "| damage | system | LSD | change, dB | worst: LSD |"
    assert lines[2] == "| mp3-48 | x | 1.23 |  | a (1.23) |"
    assert lines[3] == "| mp3-48 | y | 2.00 | 0.0 | b (2.00) |"


@pytest.mark.parametrize(
    ("measure", "values", "worst"),
    [
        ("visqol", (1.5, 4.5), "a (1.50)"),
        ("lsd", (1.5, 4.5), "b (4.50)"),
        ("level_above_db", (-9.0, 4.5), "a (-9.0)"),
        ("side_to_mid_db", (-3.0, 4.5), "b (4.5)"),
        ("change_db", (-60.0, -20.0), "b (-20.0)"),
    ],
)
def test_every_table_names_the_clip_that_is_worst_by_its_measure(
    measure: str, values: tuple[float, float], worst: str
) -> None:
    rows = [row(clip, **{measure: value}) for clip, value in zip("ab", values, strict=True)]
    line = report.table(summary.by_damage(rows), "damage", [measure], measure).splitlines()[2]
    assert line.endswith(f"| {worst} |")


def test_the_table_of_codecs_shows_each_damage_from_decoded_to_restored() -> None:
    rows = [
        row(clip, damage=damage, system=system, visqol=visqol, image_share=share)
        for damage, visqols in (("mp3-64", (2.0, 3.0)), ("wma-64", (3.0, 4.0)))
        for system, visqol, share in zip(("untouched", "x"), visqols, (1.0, 0.5), strict=True)
        for clip in "ab"
    ]
    lines = report.arrows(summary.by_damage(rows), "x").splitlines()
    assert [line.split(" | ")[0:2] for line in lines[2:]] == [
        ["| mp3-64", "2.00 -> 3.00"], ["| wma-64", "3.00 -> 4.00"], ["| all damaged", "2.50 -> 3.50"],
    ]  # fmt: skip
    assert " | 1.00 -> 0.50 | " in lines[2]
    assert lines[2].endswith("| a (3.00) |")


def test_the_report_has_tables_by_codec_kind_and_clip_where_there_is_more_than_one(tmp_path: Path) -> None:
    rows = [
        row(clip, kind, damage, system)
        for system in ("untouched", "x")
        for clip, kind in (("a", "vocal"), ("b", "multi-stem"))
        for damage in ("mp3-48", "opus-32")
    ]
    text = report.markdown(rows, [System("x", "onnx", tmp_path / "x.onnx")], ["p.png"])
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## x: decoded -> restored", "## By damage", "## Highs and image", "## By codec", "## By kind of music",
        "## By clip",
    ]  # fmt: skip
    assert "![p.png](p.png)" in text
    assert "`x.onnx` through the streaming engine" in text


def test_the_figures_have_a_curve_for_each_system_and_a_line_of_panels_for_each_codec() -> None:
    rows = [
        row("a", damage=damage, system=system, visqol=kbps / 10)
        for damage, kbps in (("mp3-64", 64.0), ("mp3-24", 24.0), ("mp3-64-vbr", 64.0), ("opus-32", 32.0), ("clean", 0))
        for system in ("x", "y")
    ]
    drawn = figures.draw_quality(rows)
    assert [axis.get_title(loc="left") for axis in drawn.axes[2::5]] == [
        "mp3: ViSQOL", "mp3 vbr: ViSQOL", "opus: ViSQOL",
    ]  # fmt: skip
    curves = drawn.axes[2].get_lines()
    assert [curve.get_label() for curve in curves] == ["x", "y"]
    np.testing.assert_allclose(curves[0].get_xydata(), [(24, 2.4), (64, 6.4)])
    assert len(figures.draw_kinds(rows).axes[0].tables[0].get_celld()) == 3 * 3 - 1


def examples() -> Iterator[listening.Example]:
    t = np.arange(RATE) / RATE
    for title in ("</script>clip, mp3-48", "b, mp3-64"):
        yield listening.Example(
            title,
            {name: np.stack([np.sin(hz * t)] * 2, 1).astype(np.float32) * 0.1 for name, hz in (("x", 800), ("y", 999))},
        )


def test_what_is_left_as_it_is_and_the_probes_have_tables_of_their_own(
    judged: list[Audio], music: Path, tmp_path: Path
) -> None:
    for name in ("undamaged/voice__1", "undamaged/tone__1", "probes/centre__1"):
        (music / name).parent.mkdir(exist_ok=True)
        shutil.copy(music / "drums.wav", music / f"{name}.wav")
    model, out = tiny_models.gain(tmp_path, 0.5), tmp_path / "out"
    done = run(
        music, "--model", model, "--quick", "--out", out, "--listen", "5", "--seconds", "1",
        "--json", tmp_path / "q.json", "--card", tmp_path / "card.json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert [line for line in done.output.splitlines() if line.startswith("## ")] == [
        "## gain: decoded -> restored", "## Undamaged", "## Probes",
    ]  # fmt: skip
    found = [(row["part"], row["kind"], row["damage"]) for row in rows_of(out) if row["system"] == "gain"]
    assert found[8:] == [
        ("undamaged", "tone", "clean"), ("undamaged", "voice", "clean"),
        ("probes", "centre", "mp3-48"), ("probes", "centre", "mp3-128"),
    ]  # fmt: skip
    assert {row["system"] for row in rows_of(out)} == {"untouched", "gain"}  # no exciter where it must be quick
    means = json.loads((tmp_path / "q.json").read_text())
    assert list(means["summary"]) == ["mp3-32", "mp3-64", "mp3-128", "aac-96", "all damaged"]
    assert list(means["undamaged"]) == ["tone", "voice", "overall"]
    assert means["undamaged"]["overall"]["gain"]["change_db"] == pytest.approx(-6.02, abs=0.01)
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["clips"] == 2
    assert card["undamaged"]["gain"]["change_db_worst_clip"].startswith("undamaged/")
    assert set(card["summary"]["aac-96"]["gain"]) == {"visqol", "lsd", "si_sdr_db", "movement", "image_share"}


def test_everything_is_written_beside_the_tables(judged: list[Audio], music: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(
        music, "--model", tiny_models.identity(tmp_path), "--kbps", "48,64", "--out", out,
        "--json", tmp_path / "q.json", "--listen", "2",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert {path.name for path in out.iterdir()} == {
        "report.md", "rows.csv", "quality_by_bitrate.png", "quality_by_kind.png", "listening.html",
        "drums__mp3-48.png", "vocals__mp3-64.png",
    }  # fmt: skip
    means = json.loads((tmp_path / "q.json").read_text())
    assert means["clips"] == 2
    assert set(means["summary"]["mp3-48"]) == {"untouched", "exciter", "identity"}
    assert set(means["summary"]["mp3-48"]["identity"]) == set(asdict(row().scores))
    assert [(own["clip"], own["damage"], own["system"]) for own in means["rows"]] == [
        (own["clip"], own["damage"], own["system"]) for own in rows_of(out)
    ]
    assert {own["lsd"] for own in means["rows"]} == {1.0}


def test_the_page_holds_every_version_and_a_title_cannot_break_out_of_it() -> None:
    page = listening.page([listening._item(example) for example in examples()])
    assert page.count("<script") == page.count("</script>") == 2
    text = page.split('<script type="application/json" id="items">')[1].split("</script>")[0]
    items = json.loads(text)
    assert [item["title"] for item in items] == ["</script>clip, mp3-48", "b, mp3-64"]
    assert [[version["name"] for version in item["versions"]] for item in items] == [["x", "y"]] * 2


PROBE = """<script>(async () => {
  const report = {};
  try {
    items[0].buttons[0].click();
    await play(items[0], 0.5);
    report.lengths = (await decoded(items[0])).map(buffer => [buffer.length, buffer.numberOfChannels]);
    const before = position();
    items[0].buttons[1].click();
    for (let i = 0; i < 400 && playing.voices[1].gain.gain.value < 1; i++) await new Promise(r => setTimeout(r, 10));
    report.gains = playing.voices.map(voice => voice.gain.gain.value);
    report.moved = position() > before;
    report.pressed = items[0].buttons.map(button => button.getAttribute("aria-pressed"));
    await Promise.all([play(items[1]), play(items[0])]);
    document.onkeydown({ key: " ", preventDefault() {} });
    report.stopped = playing === null;
    document.getElementById("blind").click();
    report.blind = items[0].buttons.map(button => button.textContent);
  } catch (error) { report.error = String(error); }
  fetch("/report", { method: "POST", body: JSON.stringify(report) });
})();</script></html>"""


@contextmanager
def served(page: str) -> Iterator[tuple[str, Callable[[float], dict[str, Any]]]]:
    """A page at an address of this machine, and what waits for its report."""
    reports: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(page.encode())

        def do_POST(self) -> None:
            reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(b"")

        def _answer(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", lambda timeout_s: reports.get(timeout=timeout_s)
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.skipif(not BROWSER, reason="no Chromium is installed")
def test_in_a_browser_a_button_changes_the_version_while_the_music_goes_on(tmp_path: Path) -> None:
    page = listening.page([listening._item(example) for example in examples()]).replace("</html>", PROBE)
    with served(page) as (address, report):
        browser = subprocess.Popen(
            [BROWSER, "--headless", "--no-sandbox", "--autoplay-policy=no-user-gesture-required",
             "--remote-debugging-port=0", f"--user-data-dir={tmp_path}", address],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            said = report(120)
        finally:
            os.killpg(browser.pid, signal.SIGTERM)  # the command may be a script that starts the browser
            browser.wait(60)
    assert said == {
        "lengths": [[RATE, 2]] * 2, "gains": [0, 1], "moved": True, "pressed": ["false", "true"], "stopped": True,
        "blind": ["A", "B"],
    }  # fmt: skip
