# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All secrets, never with their values: these are not even asked for."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from ...engine.host import Host
from ..connection import open_connection
from ..uri import URI_SPEC
from ..xmltree import parse
from .model import USAGE, Secret, secret_of

SPEC: Dict[str, Any] = {"argument_spec": {"uri": URI_SPEC, "usage_type": {"type": "str", "choices": sorted(USAGE)}}}


def gather(host: Host, params: Mapping[str, Any]) -> Dict[str, Any]:
    with open_connection(host, params) as connection:
        with connection.explained("secrets: cannot be listed"):
            texts = [secret.XMLDesc(0) for secret in connection.virt.listAllSecrets(0)]
        secrets = sorted((secret_of(parse(text, "libvirt's XML", "secret")) for text in texts), key=lambda secret: str(secret.uuid))
        wanted = params["usage_type"]
        return {"secrets": [_options(params["uri"], secret) for secret in secrets if wanted in (None, secret.usage and secret.usage.type)]}


def _options(uri: str, secret: Secret) -> Dict[str, Any]:
    usage: List[Any] = [("usage", {"type": secret.usage.type, "id": secret.usage.id})] if secret.usage else []
    said: Dict[str, Any] = {"uri": uri, "state": "present", "uuid": secret.uuid, **dict(usage)}
    return {**said, "description": secret.description, "ephemeral": secret.ephemeral, "private": secret.private}
