# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""/dev/kvm: there, open to those who need it, and proven by a guest."""

from __future__ import annotations

from .. import remedies
from ..model import FAIL, PASS, UNKNOWN, WARN, Facts, Proof
from ..sections.machine import Device
from ..spec import Request
from .rule import Rule, Unseen, Verdict, need

# Bit → the kind of machine. Source: KVM_X86_*_VM of arch/x86/include/uapi/asm/kvm.h.
_VM_TYPES = ("default", "software-protected", "SEV", "SEV-ES", "SEV-SNP", "TDX")


def _device(facts: Facts, request: Request) -> Verdict:
    device = need(facts, "kvm", facts.kvm).device
    if not device.exists:
        return FAIL, "there is no /dev/kvm", remedies.no_device(facts)
    evidence = f"/dev/kvm is {device.owner}:{device.group} {device.mode}"
    if device.opens is None:
        return UNKNOWN, f"{evidence}; opening it did not come to an end", "see kvm.proof"
    if device.errno == "EACCES":
        return UNKNOWN, f"{evidence}; this user may not open it (EACCES)", remedies.denied(facts, device.group or "")
    if not device.opens:
        return FAIL, f"{evidence}; it cannot be opened ({device.errno})", remedies.no_device(facts)
    if not _for_others(device):
        meaning = "it opens for root alone, and libvirt's guests run as another user"
        return WARN, f"{evidence}; {meaning}", remedies.KVM_GROUP
    return PASS, f"{evidence}; it opens", ""


def _for_others(device: Device) -> bool:
    """Whether the mode lets someone but root read and write."""
    mode = int(device.mode or "0", 8)
    return mode & 0o006 == 0o006 or (mode & 0o060 == 0o060 and device.group != "root")


def _user(facts: Facts, request: Request) -> Verdict:
    kvm = need(facts, "kvm", facts.kvm)
    access = kvm.access
    if access is None:
        raise Unseen("the user was not looked up")
    if not access.known:
        return FAIL, f"{access.user}: {access.through}", f"useradd -m -G kvm {access.user}, or give the name of a user that there is"
    if not kvm.device.exists:
        return FAIL, f"{access.user}: {access.through}", remedies.no_device(facts)
    device = f"/dev/kvm is {kvm.device.owner}:{kvm.device.group} {kvm.device.mode}"
    member = f"{access.user} is in {', '.join(access.groups)}"
    if access.may:
        return PASS, f"{access.user} may use /dev/kvm, by {access.through}; {device}; {member}", ""
    return FAIL, f"{access.user} may not use /dev/kvm, by {access.through}; {device}; {member}", remedies.user_access(kvm.device, access)


def _proof(facts: Facts, request: Request) -> Verdict:
    return proof_verdict(facts, facts.proof)


def proof_verdict(facts: Facts, proof: Proof) -> Verdict:
    if proof.accelerated:
        return PASS, proof.reason, ""
    if proof.stage == "skipped":
        return UNKNOWN, proof.reason, "set kvm_probe: true"
    if proof.usable is None:
        way_out = "run this again, once the machine is less busy; dmesg says what the kernel saw; reload the KVM module, or boot another kernel"
        return UNKNOWN, proof.reason, f"{way_out}, before guests run here"
    if proof.usable:
        if proof.accelerated is None:
            return WARN, proof.reason, "start a guest here and see how fast it is, before others count on it"
        return FAIL, proof.reason, remedies.no_acceleration(facts)
    if proof.errno == "EACCES":
        return UNKNOWN, proof.reason, remedies.denied(facts)
    if proof.errno == "EBUSY":
        return FAIL, proof.reason, "stop the other hypervisor and unload its modules (vboxdrv, vmmon)"
    return FAIL, proof.reason, remedies.no_device(facts)


def _capabilities(facts: Facts, request: Request) -> Verdict:
    """What every user of KVM on this architecture needs, and the limits that it sets."""
    found = need(facts, "kvm", facts.kvm).capabilities
    if found is None:
        raise Unseen("no process came so far as to ask KVM; see kvm.proof")
    kinds = [name for bit, name in enumerate(_VM_TYPES) if found["vm_types"] >> bit & 1]
    evidence = (
        f"a guest may have {found['max_vcpus']} vCPUs ({found['recommended_vcpus']} recommended) and {found['memory_slots']} memory slots; "
        f"state of nested guests: {'yes' if found['nested_state'] else 'no'}; kinds: {', '.join(kinds) or 'default'} (KVM_CHECK_EXTENSION)"
    )
    missing = [name for name in ("user_memory", "irqchip") if not found[name] and not (name == "irqchip" and facts.platform.machine == "s390x")]
    if missing:
        return FAIL, f"KVM here has no {' and no '.join(missing)}, which QEMU needs; {evidence}", "boot a newer kernel"
    return PASS, evidence, ""


def _confidential(facts: Facts, request: Request) -> Verdict:
    found = need(facts, "confidential", facts.confidential)
    features = {"SEV": found.sev, "SEV-ES": found.sev_es, "SEV-SNP": found.sev_snp, "TDX": found.tdx, "Secure Execution": found.secure_execution}
    on = [name for name, feature in features.items() if feature.on]
    if on:
        return PASS, f"on: {', '.join(on)}; {features[on[-1]].evidence}", ""
    has = [name for name, feature in features.items() if feature.cpu]
    if has:
        return WARN, f"the CPU has {', '.join(has)}, and none is on: {features[has[-1]].evidence}", remedies.confidential(facts, has[-1])
    own = {"AuthenticAMD": "SEV", "GenuineIntel": "TDX"}.get((facts.cpu.vendor if facts.cpu else None) or "")
    evidence = features[own].evidence if own else "no feature of SEV, TDX or Secure Execution"
    return WARN, f"this machine runs no confidential guests: {evidence}", remedies.no_confidential(facts)


RULES = (
    Rule("kvm.device", ("kvm",), _device),
    Rule("kvm.user", ("kvm",), _user, lambda request: request.user is not None),
    Rule("kvm.proof", ("kvm",), _proof),
    Rule("kvm.capabilities", ("kvm",), _capabilities),
    Rule("confidential.guests", ("confidential",), _confidential),
)
