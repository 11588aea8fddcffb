"""No process of ours reports to anybody, nor leaves anything in a home or cache folder that isn't ours.

`CI` in the environment would silence ONNX Runtime as well, so each process here runs without it.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.doubles import tiny_models
from tests.doubles.sound_files import tone, write

PACKAGES = ("export", "training", "benchmarks", "tests")

THREADS_AND_FILES = """
import os
from pathlib import Path
threads = len(list(Path("/proc/self/task").iterdir()))
links = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
print(threads, *(link.name for link in links if "onnxruntime" in str(link)))
"""

WATCHED = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
/* Stands before libc: each socket and each question to a name server is written down. */
static void note(const char *what, long value) {
    FILE *file = fopen(getenv("WATCHED"), "a");
    if (file) { fprintf(file, "%s %ld\n", what, value); fclose(file); }
}
int socket(int domain, int type, int protocol) {
    note("socket", domain);
    return ((int (*)(int, int, int))dlsym(RTLD_NEXT, "socket"))(domain, type, protocol);
}
int getaddrinfo(const char *node, const char *service, const void *hints, void **found) {
    note("getaddrinfo", 0);
    return ((int (*)(const char *, const char *, const void *, void **))dlsym(RTLD_NEXT, "getaddrinfo"))
        (node, service, hints, found);
}
"""


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """An environment without `CI`, whose home and cache folder are empty."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "TMPDIR": str(tmp_path / "tmp"),
        "PYTHONPATH": str(ROOT),
    }
    for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR"):
        Path(environment[name]).mkdir()
    return environment


def left_in(environment: dict[str, str]) -> list[str]:
    """What lies there now and isn't ours."""
    folders = [Path(environment[name]) for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR")]
    found = [path.relative_to(folder) for folder in folders for path in folder.glob("**/*")]
    return [str(path) for path in found if path.parts[0] != "apollo-rt"]


def ran(command: list[object], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [str(part) for part in command], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_python(script: str, environment: dict[str, str], *arguments: object) -> str:
    return ran([sys.executable, "-c", script, *arguments], environment)


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells threads and open files in /proc")


@needs_proc
def test_loading_the_c_library_starts_no_thread_and_opens_no_file(places) -> None:
    script = "from apollo_rt.inference.onnx_c_api import runtime; runtime()" + THREADS_AND_FILES
    assert run_python(script, places).split() == ["1"]
    assert left_in(places) == []


@needs_proc
@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_of_the_repository_silences_the_library_before_it_is_imported(places, package) -> None:
    script = (
        f"import {package}, os, numpy\nbefore = len(os.listdir('/proc/self/task'))\nimport onnxruntime\n"
        "print(len(os.listdir('/proc/self/task')) - before)"
    )
    assert run_python(script, places).split() == ["0"]
    assert left_in(places) == []


def test_whoever_imports_the_library_stands_in_a_package_that_silences_it_first() -> None:
    users = {
        path.relative_to(ROOT).parts[0]
        for folder in ROOT.iterdir() if (folder / "__init__.py").exists() or folder.name == "docs"
        for path in folder.glob("**/*.py")
        if re.search(r"^\s*(import|from) onnxruntime\b", path.read_text(), re.MULTILINE)
    }  # fmt: skip
    assert users <= {"apollo_rt", *PACKAGES}
    assert users >= {"apollo_rt", "export", "benchmarks"}


def test_an_effect_in_a_foreign_script_leaves_nothing_either(places, tmp_path) -> None:
    script = (
        "import sys, warnings; warnings.simplefilter('error'); import numpy as np; from apollo_rt import ApolloEffect\n"
        "print(ApolloEffect(model=sys.argv[1])(np.zeros((2, 4410), np.float32), 44_100).shape)"
    )
    assert run_python(script, places, tiny_models.gain(tmp_path, 0.5)).split() == ["(2,", "4410)"]
    assert left_in(places) == []


def test_a_script_that_imported_the_library_first_is_told_once(places) -> None:
    script = (
        "import sys, warnings\nsys.modules['onnxruntime'] = sys\n"  # a stand-in: the real one would report now
        "with warnings.catch_warnings(record=True) as told:\n"
        "    warnings.simplefilter('always'); import apollo_rt, apollo_rt.config\n"
        "print(*(entry.message for entry in told))"
    )
    told = run_python(script, places)
    assert told.count("import apollo_rt first") == (1 if sys.platform == "linux" else 0)
    assert run_python(script, places | {"ORT_DISABLE_TELEMETRY": "1"}).strip() == ""


@pytest.fixture(scope="module")
def watcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that writes down which sockets a process opens."""
    if sys.platform != "linux" or not shutil.which("gcc"):
        pytest.skip("NO gcc HERE: sockets unwatched")
    folder = tmp_path_factory.mktemp("watcher")
    (folder / "watched.c").write_text(WATCHED)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "watched.so", folder / "watched.c", "-ldl"], check=True)
    return folder / "watched.so"


@pytest.fixture
def watched(watcher: Path, places: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment in which sockets are written down, in the file `WATCHED`."""
    (tmp_path / "seen").touch()
    return places | {"LD_PRELOAD": str(watcher), "WATCHED": str(tmp_path / "seen")}


def test_the_watcher_sees_a_socket_and_a_question_to_the_name_server(watched) -> None:
    run_python("import socket; socket.socket(); socket.getaddrinfo('127.0.0.1', 80)", watched)
    assert Path(watched["WATCHED"]).read_text().splitlines() == ["socket 2", "getaddrinfo 0"]


@pytest.mark.parametrize("how", ["restore", "live"])
def test_a_run_from_file_to_file_opens_no_socket_and_leaves_nothing(watched, tmp_path, how) -> None:
    model, song = tiny_models.gain(tmp_path, 0.5), write(tmp_path / "song.wav", tone(4410))
    ends = [song, tmp_path / "out.wav"] if how == "restore" else ["--input", song, "--output", tmp_path / "out.wav"]
    options = ["--no-pace"] if how == "live" else []
    ran([sys.executable, "-m", "apollo_rt", how, "--model", model, *ends, *options], watched)
    assert (tmp_path / "out.wav").exists()
    assert Path(watched["WATCHED"]).read_text().splitlines() == []
    assert left_in(watched) == []
