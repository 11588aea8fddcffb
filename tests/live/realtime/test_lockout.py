"""A device is locked out of the shared state: who is inside is waited for, and who never comes out is not."""

import threading

from apollo_rt.compiled.records import new_record
from apollo_rt.live.realtime import lockout as module
from apollo_rt.live.realtime.lockout import Lockout, enter, leave, lock_out, wait_until_outside


def test_who_is_inside_is_waited_for_and_nobody_comes_in_any_more() -> None:
    lockout = new_record(Lockout)
    lockout.admits = 1
    assert enter(lockout)
    lock_out(lockout)
    waiting = threading.Thread(target=wait_until_outside, args=(lockout,))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    leave(lockout)
    waiting.join(60)
    assert not waiting.is_alive()
    assert not enter(lockout)
    assert lockout.in_call == 0


def test_a_callback_that_died_inside_with_its_thread_holds_nobody_up(monkeypatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_CALL_S", 0.05)
    lockout = new_record(Lockout)
    lockout.admits = 1
    assert enter(lockout)
    lock_out(lockout)
    wait_until_outside(lockout)
    assert lockout.in_call == 1
