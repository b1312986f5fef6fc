# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a passphrase gets to qemu: through memory that only the two of them have.

It is written to a file without a name, of which qemu inherits the descriptor. So it is in no argument, in no environment and on no
disk, and gone with the last of the two, however they end.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Iterator, List, Optional, Tuple

from ..engine.errors import Failure, NotReady
from ..engine.host import Host, explained
from .encryption import Secret, check_secret
from .files import gate

_LONGEST = 65536


@dataclass(frozen=True)
class Way:
    """How a command of qemu's is told of an image: by its format and its path, or with its key.

    head: the words that come with the options. objects: those that name keys only, for commands that make an image.
    inherit: the descriptors that the command needs.
    """

    format: str
    objects: Tuple[str, ...] = ()
    inherit: Tuple[int, ...] = ()

    @property
    def head(self) -> List[str]:
        return [*self.objects, "--image-opts"] if self.objects else ["-f", self.format]

    def name(self, path: str) -> str:
        escaped = path.replace(",", ",,")
        return f"driver={self.format},file.driver=file,file.filename={escaped},encrypt.key-secret=key" if self.objects else path

    def alone(self, path: str) -> str:
        """The image without what it stands on, for commands that take no options for images: what is below may be away, or have a key too."""
        file = {"driver": "file", "filename": path}
        return "json:" + json.dumps({"driver": self.format, "backing": None, "encrypt.key-secret": "key", "file": file})


@contextmanager
def way(host: Host, format_: str, secret: Optional[Secret], **others: Optional[Secret]) -> Iterator[Way]:
    """secret: what opens the image, None where it needs none. others: further passphrases that a command names, by their ids."""
    objects: List[str] = []
    descriptors: List[int] = []
    with ExitStack() as stack:
        for name, one in (("key", secret), *others.items()):
            if one is not None:
                handle = os.memfd_create("virtops")
                stack.callback(os.close, handle)
                os.fchmod(handle, 0o600)
                os.write(handle, text_of(host, one).encode())
                objects += ["--object", f"secret,id={name},file=/proc/self/fd/{handle}"]
                descriptors.append(handle)
        yield Way(format_, tuple(objects), tuple(descriptors))


def text_of(host: Host, secret: Secret) -> str:
    """Failure C(invalid_secret). NotReady C(secret_missing): an earlier task may be about to put the file there."""
    if secret.file is None:
        return secret.text or ""
    if gate(host, secret.file) is None:
        raise NotReady(f"{secret.file}: does not exist; put the passphrase there first", "secret_missing")
    with explained("read it", secret.file), open(host.path(secret.file), "rb") as handle:
        data = handle.read(_LONGEST + 1)
    if len(data) > _LONGEST:
        raise Failure(f"{secret.file}: too long for a passphrase; give another file", "invalid_secret")
    text = data.decode("utf-8", "surrogateescape")
    check_secret(text, f"what is in {secret.file}")
    return text
