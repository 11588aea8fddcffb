"""Compiled code on disk belongs to exactly the sources that it was made of, and to nobody else than the user."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from numba import njit

from apollo_rt.compiled import code_cache, native, numba_cache
from apollo_rt.live.realtime import callback, worker

PACKAGE = Path(code_cache.__file__).parents[1]


def package_files(path: Path) -> set[str]:
    return {file.name for file in code_cache._with_imports(path)}


def copy_of_the_package(folder: Path) -> Path:
    copy = folder / "apollo_rt"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "models", "data"))
    (copy / "__pycache__").mkdir(mode=0o755)
    return copy


def test_a_functions_folder_depends_on_the_files_it_takes_code_from_and_on_no_others():
    assert {"worker.py", "processor.py", "stft.py", "ring.py", "native.py"} <= package_files(
        PACKAGE / "live/realtime/worker.py"
    )
    assert not {"cli.py", "engine.py", "callback.py"} & package_files(PACKAGE / "live/realtime/worker.py")
    native_needs = package_files(PACKAGE / "compiled/native.py")
    assert {"native.py", "functions.py", "primitives.py"} < native_needs
    assert not {"processor.py", "callback.py"} & native_needs


def test_a_change_in_an_imported_file_changes_the_folder(tmp_path):
    script = "from apollo_rt.live.realtime import callback; print(callback.advance.stats.cache_path)"
    copy = copy_of_the_package(tmp_path)
    paths = []
    for added_line in ("", "# changed\n"):
        with (copy / "stream/mixer.py").open("a") as file:
            file.write(added_line)
        environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
        run = [sys.executable, "-c", script]
        paths.append(subprocess.check_output(run, cwd=tmp_path, text=True, env=environment).strip())
    assert paths[0] != paths[1]
    assert all(path.startswith(str(copy / "__pycache__")) for path in paths)


def test_every_compiled_function_is_kept_in_such_a_folder():
    for function in (callback.advance, worker.run, native.now_ns):
        folder = Path(function.stats.cache_path).parent.name
        assert folder == code_cache.sources_digest(Path(function.py_func.__code__.co_filename))


needs_owners = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owner here")


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Finds the folder anew, with a home of the test's own and nothing beside the package."""
    monkeypatch.setattr(code_cache, "_PACKAGE", tmp_path / "file" / "package")
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "home").mkdir()
    return code_cache.base_folder.__wrapped__


def test_a_folder_that_cannot_be_written_to_is_passed_over(base, tmp_path):
    assert base(str(tmp_path / "file" / "inside")) == code_cache._user_cache()


@needs_owners
@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_folder_that_others_may_write_to_is_passed_over(base, tmp_path, mode):
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(mode)
    assert base(str(open_to_all)) == code_cache._user_cache()
    assert code_cache._user_cache().stat().st_mode & 0o077 == 0, "one that we make is the user's alone"


@needs_owners
def test_a_folder_of_another_user_is_passed_over(base, tmp_path, monkeypatch):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    with pytest.warns(RuntimeWarning, match="theirs belongs to another user"):
        assert base(str(theirs)) is None


def test_without_a_home_nothing_is_kept_and_one_line_says_so(base, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "home"))
    monkeypatch.setattr(Path, "home", classmethod(lambda _: (_ for _ in ()).throw(RuntimeError("no home"))))
    with pytest.warns(RuntimeWarning, match=r"no folder for compiled code \(.*there is no home folder\)") as said:
        assert base("") is None
    assert len(said) == 1
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def one_more(number: int) -> int:
    return number + 1


@pytest.fixture
def compiled_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Compiles `one_more` as a new process would, with its code kept in a folder of the test's own; or nowhere."""

    def compile_it(folder: Path | None):
        monkeypatch.setattr(code_cache, "base_folder", lambda _: folder)
        with numba_cache.kept_by_sources(one_more):
            return njit(cache=True)(one_more)

    return compile_it


def hits(function) -> int:
    return sum(function.stats.cache_hits.values())


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", ["empty", "cut", "zeros", "nonsense"])
def test_a_damaged_file_is_said_dropped_and_compiled_anew(compiled_anew, tmp_path, recwarn, kind, damage):
    assert compiled_anew(tmp_path)(1) == 2
    (file,) = tmp_path.rglob(f"*.{kind}")
    whole = file.read_bytes()
    file.write_bytes(
        {"empty": b"", "cut": whole[: len(whole) // 2], "zeros": bytes(len(whole)), "nonsense": b"no code" * 9}[damage]
    )
    damaged = compiled_anew(tmp_path)
    assert damaged(1) == 2
    assert hits(damaged) == 0
    (said,) = [str(warning.message) for warning in recwarn if "damaged" in str(warning.message)]
    assert said.startswith(str(file.parent))
    again = compiled_anew(tmp_path)
    assert (again(1), hits(again)) == (2, 1), "what was compiled anew serves the next start"
    assert len([warning for warning in recwarn if "damaged" in str(warning.message)]) == 1


def test_code_that_cannot_be_kept_runs_all_the_same(compiled_anew, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(RuntimeWarning, match="can't keep compiled code in"):
        function = compiled_anew(tmp_path / "file")
    assert function(1) == 2
    assert not list(Path(__file__).parent.rglob("*one_more*")), "no other place is taken instead"


@pytest.mark.filterwarnings("ignore:.*is damaged")
def test_a_disk_that_is_full_meanwhile_is_said_and_ends_nothing(compiled_anew, tmp_path):
    function = compiled_anew(tmp_path)
    shutil.rmtree(function.stats.cache_path)
    tmp_path.joinpath(Path(function.stats.cache_path).parent.name).joinpath("in the way").touch()
    Path(function.stats.cache_path).write_text("in the way")
    with pytest.warns(RuntimeWarning, match="can't keep compiled code in"):
        assert function(1) == 2


def test_where_nothing_is_kept_nothing_is_written(compiled_anew, tmp_path):
    function = compiled_anew(None)
    assert (function(1), hits(function), function.stats.cache_path) == (2, 0, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a home is found otherwise there")
def test_a_program_without_home_says_so_once_and_leaves_nothing(tmp_path):
    copy = copy_of_the_package(tmp_path)
    shutil.rmtree(copy / "__pycache__")
    (copy / "__pycache__").write_text("in the way")
    (tmp_path / "temporary").mkdir()
    script = """
import os, sys
from pathlib import Path
Path.home = classmethod(lambda _: (_ for _ in ()).throw(RuntimeError("no home")))
sys.dont_write_bytecode = True
from apollo_rt.compiled import native
print(native.compiled(eval("lambda number: number + 1"))(1) == 2)
from apollo_rt.own_folders import own_folder
print(own_folder("cache").is_absolute())
"""
    kept = {"PATH", "LD_LIBRARY_PATH", "PYTHONPATH"}
    environment = {name: value for name, value in os.environ.items() if name in kept}
    environment |= {"TMPDIR": str(tmp_path / "temporary"), "HOME": "~"}  # what the system gives who has none
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.split() == ["True", "True"], done.stderr
    assert done.stderr.count("no folder for compiled code") == 1
    assert list((tmp_path / "temporary").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"apollo_rt", "temporary"}
