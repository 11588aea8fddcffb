"""Compiled code on disk belongs to exactly the sources that it was made of."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from apollo_rt.compiled import code_cache, native
from apollo_rt.live import callback, worker

PACKAGE = Path(code_cache.__file__).parents[1]


def package_files(path: Path) -> set[str]:
    return {file.name for file in code_cache._with_imports(path)}


def test_a_functions_folder_depends_on_the_files_it_takes_code_from_and_on_no_others():
    assert {"worker.py", "processor.py", "stft.py", "ring.py", "native.py"} <= package_files(PACKAGE / "live/worker.py")
    assert not {"cli.py", "engine.py", "callback.py"} & package_files(PACKAGE / "live/worker.py")
    assert package_files(PACKAGE / "compiled/native.py") == {"native.py", "code_cache.py"}


def test_a_change_in_an_imported_file_changes_the_folder(tmp_path):
    script = "from apollo_rt.live import callback; print(callback.advance.stats.cache_path)"
    copy = tmp_path / "apollo_rt"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "models", "data"))
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


def test_a_folder_that_cannot_be_written_to_is_passed_over(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert code_cache._base(str(blocked / "inside")) == PACKAGE / "__pycache__"
