# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Users and groups, by name or number."""

from __future__ import annotations

import grp
import pwd
import re

from .errors import NotReady

#: Of 32 bits; more digits are no number of anybody.
_NUMBER = re.compile("[0-9]{1,10}")


def uid(owner: str) -> int:
    """The number of a user. NotReady C(unknown_user): an earlier task may be about to make it."""
    try:
        return int(owner) if _NUMBER.fullmatch(owner) else pwd.getpwnam(owner).pw_uid
    except (KeyError, ValueError) as error:  # ValueError: no name can be so
        raise NotReady(f"owner: this host has no user {owner[:80]}; create it first, or give its number", "unknown_user") from error


def gid(group: str) -> int:
    """The number of a group. NotReady C(unknown_group)."""
    try:
        return int(group) if _NUMBER.fullmatch(group) else grp.getgrnam(group).gr_gid
    except (KeyError, ValueError) as error:
        raise NotReady(f"group: this host has no group {group[:80]}; create it first, or give its number", "unknown_group") from error


def user_name(number: int) -> str:
    """The one name by which results call a user; the number where there is none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
