"""A headless Chromium, driven by its own protocol (CDP) over a websocket, for tests of what browsers show."""

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.doubles.audio_servers import wait_for

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)  # fmt: skip
_ANSWER_S = 60.0
_PLACE = """element => {
    element.scrollIntoView();
    const { x, y, width, height } = element.getBoundingClientRect(), place = [x + width / 2, y + height / 2];
    const hit = document.elementFromPoint(...place);
    return element.contains(hit) || element.closest("label")?.contains(hit) ? place : null;
}"""
"""The middle of an element, if it is the one that a click there would hit."""


class Page:
    """One page of a browser.

    Attributes:
        faults: what its scripts threw, and what the browser logged as an error.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.faults: list[str] = []
        self._connection = connection
        self._ids = itertools.count(1)
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Go to an address, as a new page even where only what is behind the # differs."""
        self._call("Page.navigate", url="about:blank")
        self._call("Page.navigate", url=url)
        assert wait_for(lambda: self.run("document.readyState") == "complete", _ANSWER_S)

    def run(self, script: str) -> Any:
        """The value of an expression, or of the promise that it is."""
        result = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, f"{script}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until an expression is true."""
        assert wait_for(lambda: bool(self.run(condition)), _ANSWER_S), f"{condition} never came true; {self.faults}"

    def press(self, key: str) -> None:
        """Press and let go of a key that writes a letter."""
        self._call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        self._call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, selector: str) -> None:
        """Click with the mouse into the middle of what a selector finds, when that has come to rest there."""
        seen: list[Any] = []

        def rests() -> bool:
            seen.append(self.run(f"({_PLACE})(document.querySelector({json.dumps(selector)}))"))
            return seen[-1] is not None and seen[-3:] == [seen[-1]] * 3

        assert wait_for(rests, _ANSWER_S), f"{selector} doesn't come to rest, or is covered"
        x, y = seen[-1]
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path: Path, width: int = 960, height: int = 900) -> None:
        """Draw it as PNG."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        time.sleep(0.5)
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._ids)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(timeout=_ANSWER_S))
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        if message.get("method") == "Runtime.exceptionThrown":
            self.faults.append(message["params"]["exceptionDetails"].get("exception", {}).get("description", "?"))
        entry = message.get("params", {}).get("entry", {})
        if entry.get("level") == "error":
            self.faults.append(entry["text"])


@contextlib.contextmanager
def browser_page() -> Iterator[Page]:
    """A page in a browser with a fresh profile; skips where no browser is installed, and fails there in CI."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        reason = f"no browser: none of {', '.join(_NAMES)} is installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="apollo-browser-", ignore_cleanup_errors=True) as profile:
        command = [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, start_new_session=True, **silent)
        try:
            port_file = Path(profile) / "DevToolsActivePort"
            assert wait_for(lambda: port_file.exists() and "\n" in port_file.read_text(), 60), "Chromium did not start"
            port = port_file.read_text().split()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=60) as listed:
                target = next(entry for entry in json.load(listed) if entry["type"] == "page")
            with connect(target["webSocketDebuggerUrl"], proxy=None, max_size=None) as connection:
                yield Page(connection)
        finally:
            # The browser's own processes too: they belong to its group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
