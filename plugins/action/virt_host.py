# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module as it is, with lines that say how far it is."""

from __future__ import annotations

from ansible_collections.virtops.linux.plugins.plugin_utils.shows_progress import ShowsProgress as ActionModule

__all__ = ["ActionModule"]
