# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may be the name of something, before anyone looks whether it is there."""

from __future__ import annotations

from typing import Optional

from .errors import Failure


def parse_account(text: Optional[str], option: str) -> Optional[str]:
    """A user's or group's name, or a number below 2^32 - 1, which means "nobody in particular" to chown. None for "leave it alone".

    option: owner or group, for the error. Failure C(invalid_owner), C(invalid_group).
    """
    if text is None:
        return None
    if not text or not text.isprintable() or (text.isdigit() and not (text.isascii() and len(text) <= 10 and int(text) < 2**32 - 1)):
        raise Failure(f"{option}: {text[:80]!r} is neither the name nor the number of one; write for example root", f"invalid_{option}")
    return text
