# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands under limits of memory, CPU and time, where they open a file that somebody else wrote.

A hostile image must not take the host's memory or a CPU for long. For reading, what OpenStack found enough for every honest one; for
changing, room for the caches of a long chain (32 MiB a member) and time for a repair of reference counts.
"""

from __future__ import annotations

from typing import List, Sequence

from ..engine.errors import Failure
from ..engine.host import Host, Result

READING = ("--as=1073741824", "--cpu=30")  # bytes, seconds
CHANGING = ("--as=8589934592", "--cpu=600")
COPYING = ("--as=8589934592", "--cpu=86400")


def limited(host: Host, argv: Sequence[str], limits: Sequence[str], dies: bool = False) -> List[str]:
    """The command under limits, where the host has util-linux's prlimit.

    dies: an interrupted run does not leave it behind, busy filling the file system (where the host has setpriv).
    """
    prlimit, setpriv = host.which("prlimit"), host.which("setpriv") if dies else None
    return [
        *([setpriv, "--pdeathsig", "KILL"] if setpriv else []),
        *([prlimit, *limits, "--"] if prlimit and limits else []),
        *argv,
    ]


def look(host: Host, argv: Sequence[str], label: str, timeout: float, inherit: Sequence[int] = ()) -> Result:
    """A command that reads an image, to its end. timeout: seconds of wall time, for a storage that hangs. label: how sentences call the image.

    Failure C(image_too_costly) where the limits ended it, which says nothing of what is in the image.
    """
    try:
        result = host.run(limited(host, argv, READING), timeout=timeout, check=False, inherit=inherit)
    except Failure as failure:
        if failure.code != "command_timeout":
            raise
        raise Failure(
            f"{label}: cannot be read within {timeout:g} seconds; look at its storage, or use another image", "image_too_costly"
        ) from failure
    if result.rc < 0:  # a signal, or qemu's own end where it gets no memory
        raise Failure(
            f"{label}: takes more memory or time of a CPU to be read than an honest image does ({result.complaint[:200]}); use another image",
            "image_too_costly",
            stderr=result.stderr,
        )
    return result
