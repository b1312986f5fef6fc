# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Property tests hold on any machine."""

from __future__ import annotations

import hypothesis

# A slow machine is no fault of what is tested.
hypothesis.settings.register_profile("any-speed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("any-speed")
