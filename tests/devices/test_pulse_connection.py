"""The kept connection: answers, refusals, and records that stay what they were."""

import ctypes

import pytest

from apollo_rt.devices import pulse_connection
from apollo_rt.devices.pulse_connection import ServerError, ask
from tests.doubles.audio_servers import PulseServer, short_folder, wait_for
from tests.doubles.pulse_sinks import load_sink


class Spec(ctypes.Structure):
    _fields_ = [("rate", ctypes.c_uint32)]


class Info(ctypes.Structure):
    _fields_ = [("sample_spec", Spec)]


def test_a_record_keeps_its_rate_when_the_librarys_memory_is_used_again() -> None:
    class Record:
        def _copy_struct_fields(self, struct: Info) -> None:
            self.sample_spec = struct.sample_spec

    pulse_connection._keep_sample_specs(Record)
    pulse_connection._keep_sample_specs(Record)  # once is enough, and twice the same
    info, record = Info(Spec(44_100)), Record()
    record._copy_struct_fields(info)
    info.sample_spec.rate = 16_821_316
    assert record.sample_spec.rate == 44_100


def test_without_a_server_a_question_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SERVER", "unix:/nowhere")
    for _ in range(2):
        with pytest.raises(ServerError, match="no sound server: none runs for this user"):
            ask(lambda server: server.server_info())


@pytest.mark.server
def test_a_server_answers_tells_of_changes_and_is_found_again_after_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with short_folder() as folder:
        server = PulseServer(folder)
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        for _ in range(2):
            with server.started():
                names = ask(lambda pulse: [sink.name for sink in pulse.sink_list()])
                assert names == ["Loopback", "speakers"]
                before = pulse_connection.n_events()
                load_sink(server, "headphones", 48_000)
                assert wait_for(lambda before=before: pulse_connection.n_events() > before)
                assert ask(lambda pulse: pulse.sink_list()[-1].sample_spec.rate) == 48_000
                with pytest.raises(ZeroDivisionError):
                    ask(lambda _: 1 / 0)
                with pytest.raises(ServerError, match="the sound server refuses"):
                    ask(lambda pulse: pulse.module_unload(12_345))
            assert wait_for(lambda: not pulse_connection._connections[0].is_alive)
