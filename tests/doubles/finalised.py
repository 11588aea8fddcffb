"""An object that is asked to end while it is being finalised, for this process and for one that a test starts."""

import os
import signal


class Finalised:
    """Is asked to end while it is being finalised, where Python drops exceptions."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
