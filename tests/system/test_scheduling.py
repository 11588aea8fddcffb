"""Priority and locked memory: as much as the system allows, quietly less where it doesn't, and it is said which."""

import ctypes
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from apollo_rt.system import scheduling
from apollo_rt.system.scheduling import AudioScheduling, Priority, arrays_in, lock_memory, raise_this_thread
from tests import ROOT

linux = pytest.mark.skipif(sys.platform != "linux", reason="SCHED_FIFO, rtkit and mlockall are Linux's")


def in_a_thread(function):
    """What a function returns in a thread of its own, which has no other priority afterwards either."""
    got = []
    thread = threading.Thread(target=lambda: got.append(function()))
    thread.start()
    thread.join()
    return got[0]


def has_right() -> bool:
    """Whether this process may use SCHED_FIFO."""

    def attempt():
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            return False
        return True

    return in_a_thread(attempt)


@linux
def test_with_the_right_a_thread_gets_fifo_and_its_children_do_not():
    def attempt():
        got = raise_this_thread(3)
        return got, os.sched_getscheduler(0), os.sched_getparam(0).sched_priority

    if not has_right():
        pytest.skip("no right to SCHED_FIFO here; the next test is for that")
    got, policy, priority = in_a_thread(attempt)
    assert got == Priority("SCHED_FIFO 3", is_realtime=True)
    assert (policy & os.SCHED_FIFO, policy & scheduling._RESET_ON_FORK != 0, priority) == (os.SCHED_FIFO, True, 3)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


WITHOUT_RIGHTS = """
import os, resource
resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
resource.setrlimit(resource.RLIMIT_MEMLOCK, (LOCKED, LOCKED))
if os.geteuid() == 0:
    import numpy, jeepney.io.blocking, apollo_rt.system.scheduling
    os.setuid(65534)
import numpy as np
from apollo_rt.system.scheduling import lock_memory, raise_this_thread
print(raise_this_thread())
print(lock_memory([np.zeros(1 << 19, np.uint8), np.zeros(1 << 18, np.uint8)]))
"""


def without_rights(memlock: int, bus: str = "unix:path=/nowhere") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_RIGHTS.replace("LOCKED", str(memlock))],
        cwd=ROOT, env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@linux
def test_without_the_right_all_goes_on_and_it_is_said():
    priority, memory = without_rights(memlock=0)
    assert priority.startswith("normal (no right to SCHED_FIFO: see limits.conf, rtprio; no rtkit: ")
    assert memory == "not locked (no right: see limits.conf, memlock)"


@linux
def test_within_a_limit_the_buffers_are_locked_and_no_more():
    assert without_rights(memlock=4 << 20)[1] == "buffers locked (0.8 MB)"


RTKIT = """
import sys
from jeepney import DBusAddress, MessageType, message_bus, new_method_return
from jeepney.io.blocking import open_dbus_connection
connection = open_dbus_connection(sys.argv[1])
connection.send_and_get_reply(message_bus.RequestName("org.freedesktop.RealtimeKit1"))
print("ready", flush=True)
while True:
    message = connection.receive()
    if message.header.message_type is MessageType.method_call:
        print(message.header.fields, message.body, flush=True)
        connection.send(new_method_return(message))
"""


@linux
def test_without_the_right_rtkit_is_asked(tmp_path):
    if shutil.which("dbus-daemon") is None:
        pytest.skip("no dbus-daemon")
    address = f"unix:abstract=apollo-rt-test-{os.getpid()}"  # no folder that another user may not enter
    config = tmp_path / "bus.conf"
    config.write_text(
        f"<busconfig><listen>{address}</listen><auth>ANONYMOUS</auth><auth>EXTERNAL</auth><allow_anonymous/>"
        '<policy context="default"><allow user="*"/><allow own="*"/><allow eavesdrop="true"/>'
        '<allow send_destination="*" eavesdrop="true"/></policy></busconfig>'
    )
    daemon = subprocess.Popen(["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"],
                              stdout=subprocess.PIPE, text=True)  # fmt: skip
    try:
        assert address in daemon.stdout.readline()
        service = subprocess.Popen([sys.executable, "-c", RTKIT, address], stdout=subprocess.PIPE, text=True)
        watchdog = threading.Timer(30, service.kill)  # so that nothing below waits for ever
        try:
            watchdog.start()
            assert service.stdout.readline() == "ready\n"
            priority, _ = without_rights(0, address)
            asked = [service.stdout.readline()]
        finally:
            watchdog.cancel()
            service.kill()
            service.wait()
    finally:
        daemon.kill()
        daemon.wait()
    assert priority == "SCHED_RR 3 by rtkit"
    assert "MakeThreadRealtime" in asked[0]
    assert ", 3)" in asked[0]


@linux
def test_threads_that_a_device_starts_are_raised_and_those_of_the_interpreter_are_not():
    if not has_right():
        pytest.skip("no right to SCHED_FIFO here")
    release, ids = threading.Event(), {}

    def wait(name):
        if name == "threaded-ml":
            Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(name)
        ids[name] = threading.get_native_id()
        release.wait(60)

    threads = [
        threading.Thread(target=wait, args=(name,), name="other" if name == "other" else "virtual device")
        for name in ("virtual device", "threaded-ml", "other")
    ]
    schedule = AudioScheduling(wanted=True)
    with schedule.device():
        for thread in threads:
            thread.start()
        while len(ids) < 3:
            pass
    policies = {name: os.sched_getscheduler(ids[name]) & ~scheduling._RESET_ON_FORK for name in ids}
    priorities = {name: os.sched_getparam(ids[name]).sched_priority for name in ids}
    release.set()
    for thread in threads:
        thread.join()
    assert policies == {"virtual device": os.SCHED_FIFO, "threaded-ml": os.SCHED_FIFO, "other": os.SCHED_OTHER}
    assert priorities == {"virtual device": 4, "threaded-ml": 5, "other": 0}  # what serves comes before what waits
    assert schedule.report.callback == Priority("SCHED_FIFO 4", is_realtime=True)


def test_what_is_not_wanted_is_not_asked_for(monkeypatch):
    monkeypatch.setattr(scheduling, "raise_this_thread", lambda: pytest.fail("asked"))
    monkeypatch.setattr(scheduling, "lock_memory", lambda _: pytest.fail("asked"))
    schedule, done = AudioScheduling(wanted=False), []
    schedule.lock(np.zeros(3))
    with schedule.device():
        schedule.run_worker(done.append, 7)
    assert done == [7]
    assert str(schedule.report) == "worker normal, memory not locked"


def test_the_worker_runs_whatever_a_service_does(monkeypatch):
    def broken():
        raise RuntimeError("a bus that answers nonsense")

    monkeypatch.setattr(scheduling, "raise_this_thread", broken)
    done = []
    AudioScheduling(wanted=True).run_worker(done.append, 7)
    assert done == [7]


@pytest.mark.parametrize(
    ("platform", "refuses", "name", "is_realtime"),
    [
        ("darwin", False, "QoS user interactive", True),
        ("darwin", True, "normal", False),
        ("win32", False, "MMCSS Pro Audio", True),
        ("win32", True, "normal", False),
    ],
)
def test_macos_and_windows_are_asked_in_their_own_way(monkeypatch, platform, refuses, name, is_realtime):
    asked = []

    class Library:
        def pthread_set_qos_class_self_np(self, quality, relative):
            asked.append((quality, relative))
            return 22 if refuses else 0

        def AvSetMmThreadCharacteristicsW(self, task, index):  # noqa: N802  # its name in avrt.h
            asked.append(task)
            return 0 if refuses else 4711

    class Windll:
        avrt = Library()

    monkeypatch.setattr(scheduling.sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Library())
    monkeypatch.setattr(ctypes, "windll", Windll, raising=False)
    got = raise_this_thread()
    assert (got.name, got.is_realtime) == (name, is_realtime)
    assert asked == ([(0x21, 0)] if platform == "darwin" else ["Pro Audio"])


def test_arrays_are_found_in_tuples_of_tuples():
    first, second, third = np.zeros(1), np.zeros(2), np.zeros(3)
    assert [len(array) for array in arrays_in((first, (second, 7), ((third,),)))] == [1, 2, 3]
    assert "locked" in lock_memory([])
