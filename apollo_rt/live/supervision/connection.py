"""The connection to the audio devices: opened, watched, and opened again when they vanish, without ending the stream.

    CLOSED --start--> PLAYING --the callback is through--> OVER
                       |   ^
                 lost  |   | opens
                       v   |
                      WAITING --too long, or not wanted--> FAILED       (a try every 0.25, 0.5, 1, 2, 4, 4 ... s)

The stream stands still while no device calls back, so its latency is the same before and after. What hangs in a device
that died is left behind a lockout of its own (`lockout`): should it ever wake up, it plays silence and touches nothing.
Time is counted in polls of the supervisor, not read from a clock: a machine that slept for an hour has lost nothing.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from apollo_rt.compiled.address_table import AddressTable
from apollo_rt.compiled.records import add
from apollo_rt.errors import ApolloError, DeviceError
from apollo_rt.live.endpoints.driver import Driver
from apollo_rt.live.realtime.callback import callback_address
from apollo_rt.live.realtime.lockout import Attachment, attach, lock_out, wait_until_outside
from apollo_rt.live.realtime.shared_state import SharedState
from apollo_rt.live.supervision.connection_state import ConnectionState
from apollo_rt.live.supervision.fade_out import fade_out
from apollo_rt.live.supervision.reopening import Reopening
from apollo_rt.live.supervision.rest import Rest
from apollo_rt.live.supervision.supervisor import POLL_S

_FIRST_CALL_POLLS, _SILENT_POLLS = 50, 20
"""Polls without a callback until a device counts as lost. An idle one may take 2 s to begin (PulseAudio's null sink);
none takes 2 s between two blocks."""
_MOVED_POLLS = 20
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 4.0
_STOPPING_S = 10.0
"""How long an end waits for the supervisor, who may be opening a device: longer than a device may take to hang."""

_LEFT_BEHIND: list[AddressTable[Attachment]] = []
"""What a device that hangs would still read if it woke up: never to be freed."""


_MAY_REST = ConnectionState.PLAYING, ConnectionState.RESTING
_MAY_LEAVE = *_MAY_REST, ConnectionState.WAITING


class Connection:
    """A driver, and the next one when it is lost.

    Args:
        driver: not started yet.
        shared: what it calls back for.
        reopening: None: a lost device is an error.
        scheduling: devices are opened inside, see `scheduling.AudioScheduling.device`.
        check: raises an `ApolloError` for a driver whose blocks the stream's latency does not cover.

    Attributes:
        state: see above.
        error: why it failed.
        chosen: what the devices were last chosen by while it ran; None: they are those of the start.
        awaited: what was asked for last and isn't decided yet, if anything.
    """

    def __init__(
        self,
        driver: Driver,
        shared: SharedState,
        reopening: Reopening | None,
        scheduling: Callable[[], AbstractContextManager[None]] = nullcontext,
        check: Callable[[Driver], None] = lambda _: None,
    ) -> None:
        self.driver = driver
        self.state = ConnectionState.CLOSED
        self.error: ApolloError | None = None
        self.chosen: Reopening | None = None
        self.awaited: Reopening | None = None
        # The newest alone; taken and replaced without a lock.
        self._choices: deque[tuple[Reopening, Reopening]] = deque(maxlen=1)
        self._lock = threading.Lock()  # between the supervisor, who polls, and who stops
        self._shared = shared
        self._reopening = reopening
        self._scheduling = scheduling
        self._check = check
        self._attached: AddressTable[Attachment] | None = None
        self._n_callbacks = 0
        self._silent_polls = self._polls_left = 0
        self._wait_s = _FIRST_WAIT_S
        self._lost_s = 0.0
        self._is_stopping = False

    @property
    def is_over(self) -> bool:
        """All has been played."""
        has_ended = bool(self._shared.control.finished) and self.driver.finished
        return self.state is ConnectionState.OVER or (self.state is ConnectionState.PLAYING and has_ended)

    def start(self) -> None:
        """Open the devices for the first time.

        Raises:
            ApolloError: they can't be opened.
        """
        self._open(self.driver)

    def go_to(self, wanted: Reopening, back: Reopening) -> None:
        """Go to other devices at the next poll, between two fades; lines of that poll tell what came of it.

        Args:
            wanted: where to go.
            back: leads to the devices of the start, in case those can't be opened or don't fit, and no others were
                gone to since.
        """
        self.awaited = wanted
        self._choices.append((wanted, back))

    def poll(self) -> list[str]:
        """See how things are and do what is to be done; returns what a user should know, one line each."""
        with self._lock:
            if self.is_over:
                self.state = ConnectionState.OVER
            elif self._choices and self.state in _MAY_LEAVE:
                return self._go()
            elif self._reopening and (rest := self._reopening.rest) and self.state in _MAY_REST:
                return self._watch_resting(rest)
            elif self.state is ConnectionState.PLAYING:
                return self._watch()
            elif self.state is ConnectionState.WAITING:
                self._polls_left -= 1
                if self._polls_left <= 0:
                    return self._try_again()
            return []

    def stop(self) -> None:
        """Fade out and stop the device; from then on no callback touches the shared state. May be called twice."""
        self._is_stopping = True
        has_lock = self._lock.acquire(timeout=_STOPPING_S)
        try:
            if self.state is ConnectionState.PLAYING:
                fade_out(self._shared, self.driver)
            self._close()
            if self.state is not ConnectionState.FAILED:
                self.state = ConnectionState.OVER if self.is_over else ConnectionState.CLOSED
        finally:
            if has_lock:
                self._lock.release()

    def _open(self, driver: Driver) -> None:
        self.driver = driver
        attached = self._attached = attach(self._shared, driver.input_channels, driver.output_channels)
        self._n_callbacks = int(self._shared.stats.counters.callbacks)
        self._silent_polls = -_FIRST_CALL_POLLS + _SILENT_POLLS
        try:
            with self._scheduling():
                driver.start(callback_address(), attached.address)
        except BaseException:
            _LEFT_BEHIND.append(attached)  # what hung while it was opened may wake up, too
            self._close()
            raise
        if self._is_stopping:  # who stops does not wait for us for ever
            self._attached = attached
            self._close()
            return
        self._polls_left = _MOVED_POLLS
        self.state = ConnectionState.PLAYING

    def _close(self) -> None:
        """Let go of the device; where it does not let go, lock it out of the shared state for good."""
        attached, self._attached = self._attached, None
        if attached is None:
            return
        lock_out(attached.value.lockout)
        try:
            self.driver.stop()
        except DeviceError:
            wait_until_outside(attached.value.lockout)
            _LEFT_BEHIND.append(attached)

    def _watch_resting(self, rest: Rest) -> list[str]:
        """As `_watch`, where the devices are let go while nothing plays; faded out and in."""
        if self.state is ConnectionState.PLAYING and rest.is_due:
            fade_out(self._shared, self.driver)
            self._close()
            self.state = ConnectionState.RESTING
            return ["nothing plays: the devices are closed until something does"]
        if self.state is ConnectionState.RESTING:
            self._lost_s, self._wait_s = time.monotonic(), _FIRST_WAIT_S
            return self._try_again() if rest.is_wanted else []
        return self._watch()

    def _watch(self) -> list[str]:
        if self.driver.finished:
            return self._lose("stopped by itself; was it unplugged?")
        n_callbacks = int(self._shared.stats.counters.callbacks)
        if n_callbacks != self._n_callbacks:
            self._n_callbacks, self._silent_polls = n_callbacks, 0
        elif self._has_device:
            self._silent_polls += 1
        if self._silent_polls > _SILENT_POLLS:
            return self._lose("no sound comes or goes any more; the device is gone, or its sound server is")
        if self._reopening and (reason := self._reopening.trouble()):
            return self._lose(reason)
        self._polls_left -= 1
        if self._reopening and self._polls_left <= 0:
            self._polls_left = _MOVED_POLLS
            if self._reopening.has_moved():
                return self._move()
        return []

    @property
    def _has_device(self) -> bool:
        return bool(self._shared.control.input_channels or self._shared.control.output_channels)

    def _lose(self, reason: str) -> list[str]:
        """The device is gone."""
        what = f"{self.driver.name}: {reason}"
        self._close()
        if self._reopening is None:
            return self._fail(what)
        self._lost_s, self._wait_s = time.monotonic(), _FIRST_WAIT_S
        return [f"{what}; {self._wait()}"]

    def _wait(self) -> str:
        self.state = ConnectionState.WAITING
        self._polls_left = max(round(self._wait_s / POLL_S), 1)
        plan = f"trying again in {self._wait_s:g} s"
        self._wait_s = min(2 * self._wait_s, _LONGEST_WAIT_S)
        return plan

    def _try_again(self) -> list[str]:
        assert self._reopening is not None
        try:
            self._open(self._reopening.open())
        except ApolloError as error:
            reason = str(error).splitlines()[0]
            if time.monotonic() - self._lost_s > self._reopening.give_up_s:
                return self._fail(f"{reason}; gave up after {self._reopening.give_up_s:g} s")
            return [f"{reason}; {self._wait()}"]
        if self._is_stopping:
            return []
        add(self._shared.stats.counters, "reconnections", 1)
        line = f"{self.driver.name}: plays again, {time.monotonic() - self._lost_s:.1f} s after it was lost"
        return [*self._misfit(), line]

    def _misfit(self) -> list[str]:
        """Price in words of a device that came back otherwise than it went, at another rate say: sound comes first."""
        try:
            self._check(self.driver)
        except ApolloError as error:
            return [f"{error}; until then the input is heard where a hop comes late"]
        return []

    def _move(self) -> list[str]:
        """Go where the user's word leads now; between two fades."""
        before = self.driver.name
        fade_out(self._shared, self.driver)
        self._close()
        self._lost_s, self._wait_s = time.monotonic(), _FIRST_WAIT_S
        lines = self._try_again()
        return [f"{before}: is no longer the default; following to {self.driver.name}", *lines[:-1]]

    def _go(self) -> list[str]:
        """Go where the user wants to, and back if that can't be; he hears nothing for as long as opening takes."""
        wanted, back = self._choices.pop()
        try:
            return self._gone_to(wanted, back)
        finally:
            if self.awaited is wanted:
                self.awaited = None

    def _gone_to(self, wanted: Reopening, back: Reopening) -> list[str]:
        before = self.driver.name
        if self.state is ConnectionState.PLAYING:
            fade_out(self._shared, self.driver)
            self._close()
        try:
            driver = wanted.open()
            self._check(driver)
            self._open(driver)
        except ApolloError as error:
            return [f"{str(error).splitlines()[0]}; going back to {before}", *self._go_back(self.chosen or back)]
        self.chosen = wanted
        self._reopening = self._reopening and wanted
        add(self._shared.stats.counters, "reconnections", 1)
        return [f"{before}: left for {self.driver.name}"]

    def _go_back(self, back: Reopening) -> list[str]:
        try:
            self._open(back.open())
        except ApolloError as error:
            return self._lose(str(error).splitlines()[0])
        return []

    def _fail(self, reason: str) -> list[str]:
        self.state, self.error = ConnectionState.FAILED, DeviceError(reason)
        return []
