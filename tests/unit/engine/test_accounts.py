# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Users and groups that are there, and what is neither a name nor a number."""

from __future__ import annotations

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.accounts import gid, group_name, uid, user_name
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import NotReady


def test_names_and_numbers():
    assert (uid("root"), uid("4711"), gid("root"), gid("0")) == (0, 4711, 0, 0)
    assert (user_name(0), group_name(0), user_name(4294967000)) == ("root", "root", "4294967000")


@pytest.mark.parametrize("text", ["vt-nobody", "\u00b2", "9" * 5000, "a\0b", ""])
def test_nobody_is_one_sentence(text):
    for look, code in ((uid, "unknown_user"), (gid, "unknown_group")):
        with pytest.raises(NotReady) as caught:
            look(text)
        assert caught.value.code == code
