# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What encrypts an image, and with which passphrase it opens, as data."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, fields
from typing import Any, Dict, Mapping, Optional

from ..engine.errors import Failure

_HASHES = ["sha1", "sha224", "sha256", "sha384", "sha512"]
_CIPHERS = [f"{name}-{bits}" for name in ("aes", "serpent", "twofish") for bits in (128, 192, 256)]

SPEC: Dict[str, Any] = {
    "format": {"type": "str", "choices": ["luks"]},
    "secret": {"type": "str", "no_log": True},
    "secret_file": {"type": "path", "no_log": False},
    "old_secret": {"type": "str", "no_log": True},
    "old_secret_file": {"type": "path", "no_log": False},
    "cipher_alg": {"type": "str", "choices": _CIPHERS},
    "cipher_mode": {"type": "str", "choices": ["cbc", "xts"]},
    "hash_alg": {"type": "str", "choices": _HASHES},
    "iter_time": {"type": "int"},
}


@dataclass(frozen=True)
class Encryption:
    """What the header says, under qemu-img's names. format: C(luks), or C(aes), which is no encryption any more."""

    format: Optional[str] = None
    cipher_alg: Optional[str] = None
    cipher_mode: Optional[str] = None
    hash_alg: Optional[str] = None

    def given(self) -> Dict[str, str]:
        return {item.name: getattr(self, item.name) for item in fields(self) if getattr(self, item.name) is not None}


#: What qemu makes where nothing else is asked for. Written out, so that a prediction does not depend on its version.
DEFAULT_ENCRYPTION = Encryption("luks", "aes-256", "xts", "sha256")


@dataclass(frozen=True)
class Secret:
    """A passphrase, or the file on the host in which it is."""

    text: Optional[str] = field(default=None, repr=False)
    file: Optional[str] = None


@dataclass(frozen=True)
class Locking:
    """What is wanted. secret: what opens the image. old: what is not to open it any more. iter_time: milliseconds that a try costs."""

    encryption: Encryption
    secret: Optional[Secret] = None
    old: Optional[Secret] = None
    iter_time: Optional[int] = None


def parse_locking(given: Optional[Mapping[str, Any]]) -> Optional[Locking]:
    """None: leave it alone. An encryption without format: none. Failure C(invalid_secret), C(invalid_option_combination), C(invalid_path)."""
    if given is None:
        return None
    said = {name: value for name, value in given.items() if value is not None}
    if said and "format" not in said:
        raise Failure("encryption: names no format; add format: luks", "invalid_option_combination")
    secret, old = _secret(said, "secret"), _secret(said, "old_secret")
    if old and not secret:
        raise Failure("encryption: old_secret is what secret takes the place of; add secret", "invalid_option_combination")
    if old and old == secret:
        raise Failure("encryption: secret and old_secret are the same; give the new one as secret", "invalid_option_combination")
    if said.get("iter_time", 1) < 1:
        raise Failure("encryption: iter_time is a number of milliseconds; write for example 2000", "invalid_iter_time")
    encryption = Encryption(**{item.name: said.get(item.name) for item in fields(Encryption)})
    if (encryption.cipher_alg or "").endswith("-192") and encryption.cipher_mode != "cbc":
        raise Failure(f"encryption: {encryption.cipher_alg} has no mode xts; add cipher_mode: cbc, or choose another", "invalid_option_combination")
    return Locking(encryption, secret, old, said.get("iter_time"))


def _secret(said: Mapping[str, Any], name: str) -> Optional[Secret]:
    text, file = said.get(name), said.get(f"{name}_file")
    if text is not None and file is not None:
        raise Failure(f"encryption: {name} and {name}_file are two ways to say the same; leave one out", "invalid_option_combination")
    if text is not None:
        check_secret(text, name)
        return Secret(text=text)
    if file is not None:
        if not file.startswith("/") or not file.isprintable():
            raise Failure(f"encryption: {name}_file: {file[:200]!r} is not absolute; write the whole path, from / on", "invalid_path")
        return Secret(file=posixpath.normpath(file))
    return None


def check_secret(text: str, what: str) -> None:
    """Failure C(invalid_secret). The sentence does not have it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = ""
    if not text or "\0" in text:
        raise Failure(f"encryption: {what} is empty, or has bytes that no passphrase of qemu has; give a text of UTF-8", "invalid_secret")
