"""Files appear whole or not at all: names, modes, links, full disks, killed runs, two writers at once."""

import errno
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from apollo_rt import atomic_file, part_file
from apollo_rt.atomic_file import AtomicFile, whole_path, write_whole
from apollo_rt.part_file import leftovers
from tests import ROOT


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def run_limited(script, n_bytes):
    """Run a script in which no file can be longer; stands for a full disk."""

    def limit_file_size():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))

    return subprocess.run(
        [sys.executable, "-c", script], preexec_fn=limit_file_size, cwd=ROOT, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("name", ["a", "a" * 251 + ".wav", "ä" * 125 + ".wav", "." * 20 + "x", "x." + "y" * 253])
def test_any_name_that_a_folder_can_hold_is_written(tmp_path, name):
    write_whole(tmp_path / name, b"whole")
    assert names(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"whole"


def test_a_name_that_is_no_utf_8_is_written(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9" * 40 + b".txt"))
    path.parent.mkdir(parents=True)
    write_whole(path, "text")
    assert path.read_text() == "text"


def test_the_name_is_taken_at_the_end_and_the_part_is_hidden(tmp_path):
    path = tmp_path / "song.flac"
    path.write_text("before")
    with AtomicFile(path) as file:
        file.write(b"after")
        assert path.read_text() == "before"
        (part,) = (name for name in names(tmp_path) if name != "song.flac")
        assert part.startswith(".song.")
        assert part.endswith(".flac.part")
    assert path.read_text() == "after"
    assert names(tmp_path) == ["song.flac"]


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "song.flac"
    path.write_text("before")

    def write_until_interrupted():
        with AtomicFile(path) as file:
            file.write(b"after")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_until_interrupted()
    assert (path.read_text(), names(tmp_path)) == ("before", ["song.flac"])


def test_it_is_written_as_a_file_is_with_positions(tmp_path):
    with AtomicFile(tmp_path / "out") as file:
        file.write(b"....first")
        file.seek(0)
        file.write(b"len!")
        assert (file.tell(), file.seek(0, os.SEEK_END)) == (4, 9)
        file.write(b" last")
    assert (tmp_path / "out").read_bytes() == b"len!first last"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_the_mode_of_a_file_that_is_replaced_is_kept(tmp_path, mode):
    for name in ("object", "name"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    write_whole(tmp_path / "object", b"new")
    with whole_path(tmp_path / "name") as path:
        path.write_bytes(b"new")
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("object", "name")] == [mode, mode]


def test_a_private_file_is_private_while_it_is_written_too(tmp_path):
    (tmp_path / "private").touch()
    (tmp_path / "private").chmod(0o600)
    with AtomicFile(tmp_path / "private") as file:
        assert stat.S_IMODE(file.part.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["a folder", "a named pipe", "a socket", "a device"])
def test_what_is_no_regular_file_is_never_replaced(tmp_path, kind):
    path = tmp_path / "there"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        socket.socket(socket.AF_UNIX).bind(str(path))
    else:
        path = Path(os.devnull)
    before = path.stat()
    with pytest.raises(OSError, match=f"is {kind}, not a regular file"):
        AtomicFile(path)
    if kind != "a folder":
        with pytest.raises(OSError, match=f"is {kind}, not a regular file"), whole_path(path):
            pass
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mode == before.st_mode


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for kind, write in (("object", write_whole), ("name", _write_by_name)):
        link = tmp_path / kind
        link.symlink_to(tmp_path / "elsewhere" / kind)
        write(link, b"new")
        assert link.is_symlink()
        assert link.read_bytes() == b"new"


def _write_by_name(target, content):
    with whole_path(target) as path:
        path.write_bytes(content)


def test_a_link_planted_under_the_name_of_the_part_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr(part_file.secrets, "token_hex", lambda _: "01234567")
    (tmp_path / "precious").write_text("precious")
    (tmp_path / ".out.01234567.txt.part").symlink_to("precious")
    with pytest.raises(FileExistsError):
        AtomicFile(tmp_path / "out.txt")
    assert (tmp_path / "precious").read_text() == "precious"
    assert names(tmp_path) == [".out.01234567.txt.part", "precious"]


def test_writers_of_one_process_do_not_share_a_part(tmp_path):
    files = [AtomicFile(tmp_path / "out.txt") for _ in range(9)]
    for number, file in enumerate(files):
        file.write(str(number).encode() * 1000)
    for file in files[1:]:
        file.abort()
    files[0].commit()
    assert (tmp_path / "out.txt").read_text() == "0" * 1000
    assert names(tmp_path) == ["out.txt"]


@pytest.mark.parametrize("has_links", [True, False])
def test_of_many_that_may_not_replace_one_takes_the_name(tmp_path, monkeypatch, has_links):
    if not has_links:
        monkeypatch.setattr(Path, "hardlink_to", _no_links)
    files = [AtomicFile(tmp_path / "out.txt", replace=False) for _ in range(8)]
    for number, file in enumerate(files):
        file.write(str(number).encode())

    def commit(file):
        try:
            file.commit()
        except FileExistsError:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(commit, files)) == 1
    assert names(tmp_path) == ["out.txt"]
    assert len((tmp_path / "out.txt").read_text()) == 1


def _no_links(*_):
    raise OSError(errno.EPERM, "Operation not permitted")


def test_what_exists_is_refused_at_the_start_where_nothing_may_be_replaced(tmp_path):
    (tmp_path / "out.txt").write_text("before")
    with pytest.raises(FileExistsError, match="exists already"):
        write_whole(tmp_path / "out.txt", b"after", replace=False)
    assert (names(tmp_path), (tmp_path / "out.txt").read_text()) == (["out.txt"], "before")


def test_a_full_disk_leaves_the_old_file(tmp_path):
    (tmp_path / "out.txt").write_text("before")
    script = f"""if True:
        from apollo_rt.atomic_file import whole_path, write_whole
        def by_name(target, content):
            with whole_path(target) as path:
                path.write_bytes(content)
        for write in (write_whole, by_name):
            try:
                write({str(tmp_path / "out.txt")!r}, bytes(100_000))
            except OSError as error:
                print(error.strerror)"""
    done = run_limited(script, 50_000)
    assert (done.stdout.splitlines(), done.stderr) == (["File too large"] * 2, "")
    assert (names(tmp_path), (tmp_path / "out.txt").read_text()) == (["out.txt"], "before")


def test_an_error_that_a_library_swallows_is_remembered(tmp_path, monkeypatch):
    file = AtomicFile(tmp_path / "out.txt")
    file.write(b"1")
    with monkeypatch.context() as broken:
        broken.setattr(atomic_file.os, "write", _full)
        with pytest.raises(OSError, match="No space left"):
            file.write(b"2")
    with pytest.raises(OSError, match="No space left"):
        file.write(b"3")  # or there would be a hole
    with pytest.raises(OSError, match="No space left"):
        file.commit()
    assert names(tmp_path) == []


def _full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_error_at_the_very_end_leaves_the_old_file(tmp_path, monkeypatch, call):
    (tmp_path / "out.txt").write_text("before")
    monkeypatch.setattr(*((atomic_file.os, "fsync") if call == "fsync" else (Path, "replace")), _full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "out.txt", b"after")
    with pytest.raises(OSError, match="No space left"):
        _write_by_name(tmp_path / "out.txt", b"after")
    assert (names(tmp_path), (tmp_path / "out.txt").read_text()) == (["out.txt"], "before")


def test_a_part_that_is_shorter_than_what_was_written_never_takes_the_name(tmp_path):
    file = AtomicFile(tmp_path / "out.txt")
    file.write(bytes(1000))
    os.truncate(file.part, 999)
    with pytest.raises(OSError, match="1000 bytes were written, 999 are there"):
        file.commit()
    assert names(tmp_path) == []


def test_a_part_that_another_file_was_put_in_place_of_never_takes_the_name(tmp_path):
    file = AtomicFile(tmp_path / "out.txt")
    file.write(b"mine")
    file.part.unlink()
    file.part.write_bytes(b"your")
    with pytest.raises(OSError, match="was taken away"):
        file.commit()
    assert not (tmp_path / "out.txt").exists()


def test_a_folder_appears_whole(tmp_path):
    with whole_path(tmp_path / "incident") as folder:
        folder.mkdir()
        (folder / "one").write_text("1")
        assert not (tmp_path / "incident").exists()
    assert (tmp_path / "incident" / "one").read_text() == "1"

    def write_half_a_folder():
        with whole_path(tmp_path / "other") as folder:
            folder.mkdir()
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        write_half_a_folder()
    assert names(tmp_path) == ["incident"]


def test_a_part_is_a_leftover_only_once_its_writer_is_dead(tmp_path):
    script = f"""if True:
        import sys
        from apollo_rt.atomic_file import AtomicFile
        file = AtomicFile({str(tmp_path / "night.wav")!r})
        file.write(b"RIFF")
        print("ready", flush=True)
        sys.stdin.read()"""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        writer.stdout.readline()
        assert leftovers(tmp_path) == []
        writer.kill()
        writer.wait(60)
    (left,) = leftovers(tmp_path)
    assert left.read_bytes() == b"RIFF"


def test_only_our_own_parts_are_leftovers(tmp_path):
    for name in ("song.part", ".song.flac.part", ".song.0123456z.part", ".hidden", "x.01234567.part"):
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / ".pipe.01234567.part")
    (tmp_path / ".mine.01234567.yaml.part").touch()
    assert [path.name for path in leftovers(tmp_path)] == [".mine.01234567.yaml.part"]
    assert leftovers(tmp_path / "no such folder") == []
