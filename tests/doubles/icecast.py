"""A private icecast with an ffmpeg source, as stations run it; titles by its own door."""

import socket
import subprocess
import tempfile
import urllib.parse
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.doubles.audio_servers import wait_for

_PASSWORD = "hackme"
_CONFIGURATION = """<icecast>
<limits><sources>4</sources><source-timeout>10</source-timeout></limits>
<authentication><source-password>{password}</source-password><admin-user>admin</admin-user>
<admin-password>{password}</admin-password></authentication>
<hostname>localhost</hostname><location>Earth</location><admin>nobody</admin>
<listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket><fileserve>0</fileserve>
<paths><basedir>{folder}</basedir><logdir>{folder}</logdir><webroot>/usr/share/icecast2/web</webroot>
<adminroot>/usr/share/icecast2/admin</adminroot></paths>
<logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog><loglevel>3</loglevel></logging>
<security><chroot>0</chroot><changeowner><user>nobody</user><group>nogroup</group></changeowner></security>
</icecast>"""
"""As Debian ships it, but for ports and folders; its burst is the usual 64 KiB. It refuses to run as root."""


class Icecast:
    """The server on a port of its own, which it looks for."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._sources: list[subprocess.Popen] = []
        path = Path(self._folder.name)
        path.chmod(0o777)
        for _ in range(5):  # another may take a port that was free
            with socket.socket() as found:
                found.bind(("127.0.0.1", 0))
                self.port = found.getsockname()[1]
            text = _CONFIGURATION.format(password=_PASSWORD, port=self.port, folder=path)
            (path / "icecast.xml").write_text(text)
            self._start()
            if self._server.poll() is None:
                return
        raise AssertionError("icecast2 does not start")

    def _start(self) -> None:
        command = ["icecast2", "-c", f"{self._folder.name}/icecast.xml"]
        self._server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self._server.poll() is not None or self._asked("/status-json.xsl") == 200, 60)

    def stop(self) -> None:
        """As by a power cut."""
        self.stop_sources()
        self._server.kill()
        self._server.wait()

    def restart(self) -> None:
        """As after a power cut: the sources have to come back, too."""
        self.stop()
        self._start()

    def url(self, mount: str = "live") -> str:
        return f"http://127.0.0.1:{self.port}/{mount}"

    def play(self, path: Path, content_type: str, mount: str = "live", page_s: float = 1.0) -> None:
        """Send a file to a mount as a station does, in its time, over and over; Ogg in pages of so many seconds."""
        target = f"icecast://source:{_PASSWORD}@127.0.0.1:{self.port}/{mount}"
        kind = {"audio/mpeg": "mp3", "audio/aac": "adts"}.get(content_type, "ogg")
        command = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", path, "-c", "copy"]
        pages = ["-page_duration", f"{1e6 * page_s:.0f}"] if kind == "ogg" else []
        command += ["-content_type", content_type, "-f", kind, *pages, target]
        words = Path(self._folder.name, "source.log")

        def begin() -> None:
            with words.open("a") as log:
                self._sources.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log))

        def is_there() -> bool:
            if self._sources[-1].poll() is not None:  # refused: as a station's would, it tries again
                begin()
            return self._asked(f"/{mount}", is_short=True) == 200

        begin()
        assert wait_for(is_there, 300), words.read_text() + Path(self._folder.name, "error.log").read_text()

    def set_title(self, title: str, mount: str = "live") -> None:
        query = urllib.parse.urlencode({"mount": f"/{mount}", "mode": "updinfo", "song": title, "charset": "UTF-8"})
        assert self._asked(f"/admin/metadata?{query}") == 200

    def stop_sources(self) -> None:
        for source in self._sources:
            source.kill()
            source.wait()
        self._sources.clear()

    def _asked(self, path: str, is_short: bool = False) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        credentials = "YWRtaW46aGFja21l"  # admin:hackme
        request.add_header("Authorization", f"Basic {credentials}")
        with suppress(OSError), urllib.request.urlopen(request, timeout=60) as answer:
            if not is_short:
                answer.read()
            return int(answer.status)
        return 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_sources()
        self._server.kill()
        self._server.wait()
        self._folder.cleanup()
