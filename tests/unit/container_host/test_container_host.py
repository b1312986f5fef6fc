# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role container_host: what it writes, and its data of distributions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict

import jinja2
import pytest
import yaml

ROLE = Path(__file__).resolve().parents[3] / "roles/container_host"
FAMILIES = yaml.safe_load((ROLE / "vars/main.yml").read_text())["container_host_families"]


def written(template: str, **variables: Any) -> str:
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)  # noqa: S701  # no HTML; as Ansible has it
    environment.filters.update(to_json=json.dumps, regex_replace=lambda text, old, new: re.sub(old, new, text))
    environment.tests.update(match=lambda text, start: text.startswith(start))
    return environment.from_string((ROLE / "templates" / template).read_text()).render(**variables)


def unit(engine: str, **container: Any) -> str:
    return written(
        "container.service.j2",
        container_host_container={"name": "web", "image": "localhost/web:1", **container},
        container_host_container_engine=engine,
        container_host_container_parent="web.slice",
        container_host_container_network="",
    )


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_a_container_is_a_unit(engine: str) -> None:
    options: Dict[str, Any] = {
        "hostname": "web",
        "environment": {"A": 'b "c" $d 100%'},
        "volumes": ["/srv/a b:/srv:ro"],
        "ports": ["8080:80"],
        "command": ["sh", "-c", "echo a; sleep 9"],
    }
    lines = unit(engine, **options).splitlines()
    (start,) = [line for line in lines if line.startswith("ExecStart=")]
    assert start.startswith(f"ExecStart=/usr/bin/{engine} run ") and start.endswith(
        ' --name=web "--cgroup-parent=web.slice" "--hostname=web" "--env=A=b \\"c\\" $$d 100%%" "--volume=/srv/a b:/srv:ro" "--publish=8080:80"'
        ' "localhost/web:1" "sh" "-c" "echo a; sleep 9"'
    )
    assert ("Requires=docker.service" in lines) == (engine == "docker") and ("Type=notify" in lines) == (engine == "podman")


def test_settings_of_podman_are_tables() -> None:
    asked = {"engine": {"cgroup_manager": "systemd"}, "containers": {}, "network": {"dns_bind_port": 5353, "firewall_driver": "nftables"}}
    text = written("containers.conf.j2", container_host_podman_asked=asked)
    assert text.split("\n\n", 1)[1] == '[engine]\ncgroup_manager = "systemd"\n\n[network]\ndns_bind_port = 5353\nfirewall_driver = "nftables"\n'


def test_mirrors_of_podman_have_no_scheme() -> None:
    text = written("registries.conf.j2", container_host_registry_mirrors=["https://one.example.org/", "http://two.example.org"])
    one, two = text.split("[[registry.mirror]]")[1:]
    assert one.strip() == 'location = "one.example.org"' and two.split("\n")[1:3] == ['location = "two.example.org"', "insecure = true"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_distribution_is_data(family: str) -> None:
    data = yaml.safe_load((ROLE / "vars" / f"{family}.yml").read_text())
    packages = data["container_host_distribution_packages"]
    assert "podman" in packages and set(packages) <= {"docker", "podman"} if isinstance(packages, dict) else "podman" in packages
