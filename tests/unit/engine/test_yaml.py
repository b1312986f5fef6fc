# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import yaml
from ansible_collections.virtops.linux.plugins.module_utils.engine.yaml import to_yaml
from hypothesis import given
from hypothesis import strategies as st

# What a YAML library takes for something else than text.
TYPED = st.from_regex(r"[-+]?(0[xbo])?[0-9a-fA-F_.:eE+-]{1,6}|[.](inf|nan|NaN|Inf)|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}", fullmatch=True)
SCALARS = st.none() | st.booleans() | st.integers() | TYPED | st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,8}x", fullmatch=True), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,8}x", fullmatch=True), TREES, min_size=1, max_size=4))
def test_a_yaml_library_reads_back_what_was_written(data):
    assert yaml.safe_load(to_yaml(data)) == data


def test_how_it_looks():
    text = to_yaml({"name": "br0", "stp": False, "empty": [], "mode": "0644", "xml": "<a>\n  <b/>\n</a>", "ports": [{"name": "eth0"}]})
    assert text == 'name: br0\nstp: false\nempty: []\nmode: "0644"\nxml: |\n  <a>\n    <b/>\n  </a>\nports:\n  -\n    name: eth0\n'


def test_nothing_is_no_text():
    assert to_yaml({}) == ""
