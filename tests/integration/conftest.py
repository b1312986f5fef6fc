# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What integration tests stand on, and which of them may run at the same time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import pytest
from support import daemons

#: Tests of a family run one after another, families side by side: three, because those of bridges mostly wait. The first that a file's name
#: begins with; all other files are of the family machine, who share this machine's libvirtd and the settings of its kernel. What bears no other
#: beside it is named in the Makefile.
FAMILIES = {
    "qcow2_image_guests": "machine",
    **{name: name for name in ("bridge", "cloud_init", "container", "host_network", "libvirt_faults", "preflight", "qcow2")},
}


def family(path: Path) -> str:
    name = path.stem[len("test_") :]
    return next((found for beginning, found in FAMILIES.items() if name.startswith(beginning)), "machine")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For pytest-xdist, where it is there and distributes tests."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFamily(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return family(Path(nodeid.partition("::")[0]))

    return ByFamily(config, log)


@pytest.fixture(scope="session")
def libvirtd() -> Iterator[None]:
    """qemu:///system answers."""
    with daemons.libvirt():
        yield
