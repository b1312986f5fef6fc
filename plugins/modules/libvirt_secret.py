#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_secret
short_description: Keep the secrets that libvirt's pools, disks and guests need
version_added: 0.1.0
description:
  - Defines secrets of libvirt and sets their values. A value is in no result, diff, log or command line, and is given to libvirt over its connection.
  - What the task does not say stays as it is.
author:
  - virtops.linux contributors (@virtops)
options:
  state:
    description: Whether the secret is there.
    type: str
    choices: [present, absent]
    default: present
  uuid:
    description:
      - The secret's UUID. It, O(usage) or O(xml) must tell which secret is meant. A new one without it gets one from libvirt.
      - It cannot change.
    type: str
  usage:
    description:
      - What the secret is for, by which it is found where there is no O(uuid).
      - It cannot change.
    type: dict
    suboptions:
      type:
        description: The kind of thing, in libvirt's words.
        type: str
        choices: [ceph, iscsi, tls, volume, vtpm]
        required: true
      id:
        description: Which one, the path of a V(volume), or a name of your own that pools and disks refer to. Unique within the type.
        type: str
        required: true
  description:
    description:
      - A text for people. An empty one takes it away.
      - A secret that is there gets it at once.
    type: str
  ephemeral:
    description:
      - Whether the secret is kept in memory only, and so is gone when libvirt's daemon ends. Of one that was kept on disk before, the value
        goes from there, and libvirt 9.0 leaves the definition, so that it is back without a value then.
      - A secret that is there gets it at once.
    type: bool
  private:
    description:
      - Whether nobody can ask libvirt for the value again.
      - A secret that is there gets it at once, and it cannot be undone.
    type: bool
  xml:
    description:
      - A definition in libvirt's own format, without the value. The other options go on top of it.
      - What it says takes effect as the option for it does.
    type: str
  value:
    description:
      - The value itself.
      - A secret that is there gets it at once, a pool or a guest that is active already at its next start.
    type: str
  encoding:
    description:
      - How O(value) is written, as V(text), which is stored in UTF-8, or as V(base64), for bytes that are no text.
      - A Ceph key is stored as the bytes that its base64 stands for.
      - A secret that is there gets it at once, a pool or a guest that is active already at its next start.
    type: str
    choices: [text, base64]
    default: text
  update_value:
    description:
      - When the value of a secret that is there is set.
      - V(if_different) compares them. The value of a O(private) secret cannot be seen, so that is set when the secret is made and never after,
        with a warning that says so.
      - V(always) compares them too, and sets the value of a private secret in every run, which is therefore always a change.
      - V(on_create) sets it only where there is none yet.
    type: str
    choices: [if_different, always, on_create]
    default: if_different
extends_documentation_fragment:
  - virtops.linux.libvirt
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
seealso:
  - module: virtops.linux.libvirt_pool
  - name: Secret XML format
    description: Libvirt's reference of all that a secret can be.
    link: https://libvirt.org/formatsecret.html
"""

EXAMPLES = r"""
- name: The password of a Ceph pool
  virtops.linux.libvirt_secret:
    usage: {type: ceph, id: client.libvirt}
    private: true
    value: "{{ ceph_key | default('AQBNWWx0aGlzIGlzIG5vIHJlYWwga2V5') }}"
    encoding: base64

- name: No such secret
  virtops.linux.libvirt_secret:
    usage: {type: ceph, id: client.libvirt}
    state: absent
"""

RETURN = r"""
resource:
  description: The secret after the run, without its value.
  returned: success
  type: dict
  contains:
    secret:
      description: What it is for, or else its UUID.
      type: str
    state:
      description: present or absent.
      type: str
    uuid:
      description: Its UUID.
      type: str
    usage:
      description: What it is for.
      type: dict
    description:
      description: Its text for people.
      type: str
    ephemeral:
      description: Whether it is kept in memory only.
      type: bool
    private:
      description: Whether its value cannot be asked for.
      type: bool
    content:
      description: With O(value), how the value compares, as V(as wished), V(another), V(none) or V(unknown), for a private one.
      type: str
  sample:
    secret: ceph client.libvirt
    state: present
    private: true
    content: unknown
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.secret.resource import RESOURCE


def main():
    run(RESOURCE)


if __name__ == "__main__":
    main()
