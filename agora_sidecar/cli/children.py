"""Programs that run for as long as we do, and no longer."""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def ends_with_us() -> None:
    """Between fork and exec (`preexec_fn`): SIGTERM for the child when we end, even by SIGKILL.

    Linux alone has this; elsewhere who kills us has to end the child as well.
    """
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
