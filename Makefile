# SPDX-License-Identifier: GPL-3.0-or-later
# `make` shows what there is to type.
.DEFAULT_GOAL := help
.PHONY: help quickstart quickstart-down test clean

# Everything else beside the lab, which takes longest and uses one core (scripts/run-parts has the + and commas).
PARTS := lab+lint,types,ansible-lint,sanity,unit,molecule-default,integration
comma := ,
EACH := $(subst +, ,$(subst $(comma), ,$(PARTS)))
MATRIX := lab-bookworm,lab-trixie+ansible-core
.PHONY: $(EACH:%=test-%) test-molecule test-matrix test-ansible-core test-containers bench-corpus bench-images

BUILD := $(CURDIR)/.build
BIN := $(CURDIR)/.venv/bin
BACK_ENDS := $(BUILD)/back-ends
RUN := .venv/.run
TESTS := .venv/.test

# The tools look each other up on the PATH; no cow, no colour codes in logs that people keep.
export PATH := $(BIN):$(PATH):/usr/sbin:/sbin
export ANSIBLE_COLLECTIONS_PATH := $(BUILD)
export ANSIBLE_NOCOWS := 1
export ANSIBLE_LOCALHOST_WARNING := False
export ANSIBLE_INVENTORY_UNPARSED_WARNING := False
export VIRTOPS_COLLECTIONS := $(BUILD)
# Some environments forbid what spares each of many processes its compiling.
unexport PYTHONDONTWRITEBYTECODE

help:
	@echo 'make quickstart       make this machine a virtualization host with a guest alive on it (root)'
	@echo 'make quickstart-down  take all of that away again'
	@echo 'make test             run all tests: $(EACH:%=test-%)'
	@echo 'make test-lab         of test-molecule, what runs on a lab machine with real KVM; SCENARIOS="virt_host ..." are some of it'
	@echo 'make test-matrix      every supported ansible-core (test-ansible-core), and the lab on Debian 12 and 13'
	@echo 'make test-containers  Docker by the role container_host on this machine, from nothing, and away again (root)'
	@echo 'make bench-corpus     all of libvirt'"'"'s own test data through the modules (root); KINDS="pools secrets" for some, EVERY=8 for a sample'
	@echo 'make bench-images     conversions of 2 GiB of data against plain qemu-img: their ratio'
	@echo 'make clean            remove what make made in this folder'

# The collection under the path where Ansible looks for it.
collection_link := $(BUILD)/ansible_collections/virtops/linux
$(collection_link):
	@mkdir -p $(@D) && ln -sfn $(CURDIR) $@

$(RUN): requirements.txt scripts/bootstrap
	@scripts/bootstrap .venv requirements.txt quickstart
	@touch $@

$(TESTS): requirements-test.txt requirements-unit.txt requirements.txt tests/packages.txt scripts/bootstrap
	@scripts/bootstrap .venv requirements-test.txt test tests/packages.txt
	@touch $@ $(RUN)

# systemd-resolved is a package of its own, or where it is not, part of systemd's.
$(BACK_ENDS): scripts/unpacked Makefile | $(TESTS)
	@scripts/unpacked $@ dbus ifupdown isc-dhcp-client netplan.io network-manager $$(apt-cache show systemd-resolved 2>/dev/null | sed -n 's/^Package: //p' | head -n 1)
	@touch $@

quickstart: $(RUN) | $(collection_link)
	@ansible-playbook virtops.linux.quickstart
	@cat /var/lib/virtops/quickstart.txt

quickstart-down: $(RUN) | $(collection_link)
	@ansible-playbook virtops.linux.quickstart_down

test: $(TESTS) | $(collection_link)
	@$(BIN)/python scripts/run-parts $(PARTS)

test-lint: $(TESTS)
	ruff check .
	ruff format --check .
	vermin --quiet --no-tips --violations --target=3.8- plugins

test-types: $(TESTS) | $(collection_link)
	MYPYPATH=$(BUILD) mypy -p ansible_collections.virtops.linux.plugins.module_utils

test-ansible-lint: $(TESTS) | $(collection_link)
	ansible-lint --offline --profile production

test-sanity: $(TESTS)
	$(BIN)/python scripts/sanity

test-unit: $(TESTS) | $(collection_link)
	pytest -q tests/unit

# An overlay is in use where anybody makes a mount namespace while it is mounted, as many other tests do.
ALONE := tests/integration/test_overlay_mount.py
test-integration: $(TESTS) $(BACK_ENDS) | $(collection_link)
	pytest -q --numprocesses=3 --durations=15 --ignore=$(ALONE) tests/integration
	pytest -q $(ALONE)

# On this machine itself, then on a lab machine that is booted once.
test-molecule: $(TESTS) | $(collection_link)
	@$(BIN)/python scripts/run-parts molecule-default lab

test-molecule-default: $(TESTS) | $(collection_link)
	cd extensions && molecule test --scenario-name default

test-lab: $(TESTS) | $(collection_link)
	$(BIN)/python scripts/lab $(SCENARIOS)

test-matrix: $(TESTS) | $(collection_link)
	@$(BIN)/python scripts/run-parts $(MATRIX)

test-ansible-core: $(TESTS) | $(collection_link)
	$(BIN)/python scripts/matrix $(VERSIONS)

test-lab-%: $(TESTS) | $(collection_link)
	VIRTOPS_LAB_RELEASE=$* $(BIN)/python scripts/lab $(SCENARIOS)

# Some minutes. It installs Docker's packages and removes them.
test-containers: $(TESTS) | $(collection_link)
	pytest -q tests/containers

# Networks, pools, volumes, secrets and nwfilters take two minutes, domains twenty.
bench-corpus: $(TESTS) | $(collection_link)
	$(BIN)/python tests/benchmarks/corpus/run.py $(KINDS)

# Some minutes, and 7 GiB in the folder for temporary files.
bench-images: $(TESTS) | $(collection_link)
	$(BIN)/python tests/benchmarks/bench_images.py

clean:
	rm -rf .venv .build .ansible .cache *.tar.gz
