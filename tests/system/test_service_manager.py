"""The service manager is told by datagrams (sd_notify(3)), and pinged only while the audio callback is called."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from apollo_rt.system import service_manager
from apollo_rt.system.service_manager import ServiceManager

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX") or sys.platform == "win32", reason="needs Unix sockets")


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(0.0)
        yield listener


def told(listener: socket.socket) -> list[str]:
    lines: list[str] = []
    while True:
        try:
            lines.append(listener.recv(4096).decode())
        except BlockingIOError:
            return lines


def manager(listener: socket.socket, **variables: str) -> ServiceManager:
    return ServiceManager({"NOTIFY_SOCKET": listener.getsockname(), **variables})


def test_ready_status_more_time_and_the_end_are_told(heard: socket.socket) -> None:
    said = manager(heard)
    said.wait_longer(2.5)
    said.ready("a -> b")
    said.stopping()
    assert told(heard) == ["EXTEND_TIMEOUT_USEC=2500000", "READY=1\nSTATUS=a -> b", "STOPPING=1"]


def test_a_ping_comes_when_due_and_only_while_the_callback_is_called(heard: socket.socket, monkeypatch) -> None:
    clock_s = [100.0]
    monkeypatch.setattr(service_manager.time, "monotonic", lambda: clock_s[0])
    said = manager(heard, WATCHDOG_USEC="8000000", WATCHDOG_PID=str(os.getpid()))
    pings = []
    for n_calls in (1, 2, 3, 3, 3, 3, 9):
        said.still_alive(n_calls, is_waiting=False)
        pings.append(told(heard))
        clock_s[0] += 1.0
    ping = ["WATCHDOG=1"]
    assert pings == [ping, [], ping, [], [], [], ping], "at least each 2 s of 8, and none while nobody calls"
    clock_s[0] += 2.0
    said.still_alive(9, is_waiting=True)
    assert told(heard) == ping, "a device is waited for: that is no fault"


@pytest.mark.parametrize("variables", [{}, {"WATCHDOG_USEC": "8000000", "WATCHDOG_PID": "1"}])
def test_without_a_watchdog_or_for_another_process_there_are_no_pings(heard, variables) -> None:
    manager(heard, **variables).still_alive(1, is_waiting=False)
    assert told(heard) == []


def test_an_abstract_socket_is_told_too_and_nobody_is_no_error() -> None:
    if sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0apollo-rt-test-{os.getpid()}")
        listener.settimeout(5.0)
        said = ServiceManager({"NOTIFY_SOCKET": f"@apollo-rt-test-{os.getpid()}"})
        said.stopping()
        assert listener.recv(100) == b"STOPPING=1"
        assert said.is_there
    said.stopping()
    alone = ServiceManager({})
    alone.ready("all is well")
    assert not alone.is_there
