# On an empty Debian (12, 13, testing) as root: `make quick` for a verdict, `make test` for the whole test suite.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := docker.io openssh-client openssl tini iptables iproute2 util-linux mount tcpdump mmdebstrap ethtool curl wrk dnsmasq-base gcc libc6-dev rootlesskit slirp4netns passt uidmap
TEST_PACKAGES := chromium openssh-server tshark

# Files of tests beside each other, a core each. The lab's are not among them: a machine has one.
PYTEST_BESIDE := $(BIN)/pytest --numprocesses=auto --maxprocesses=8 --dist=loadfile --shuffle=new

.PHONY: help quick test test-pure watch-report check setup docs image benchmark benchmark-pcap benchmark-naive benchmark-stall benchmark-interleaving benchmark-workers benchmark-real-hosts benchmark-report benchmark-slots differential distributions fuzz chaos chaos-hosts rules rates lock clean
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 28

quick: setup  ## set everything up, measure scenarios/quick.toml, print the verdict
	$(BIN)/bench run scenarios/quick.toml

test: PACKAGES += $(TEST_PACKAGES)
test: setup check  ## set everything up, run every check and test (lab tests where root allows)
	$(PYTEST_BESIDE) tests/pure tests/browser
	$(BIN)/pytest --shuffle=new tests/lab

test-pure: .venv/installed  ## the daily loop: tests that need no lab, without the slow ones
	$(PYTEST_BESIDE) -m "not slow" tests/pure

check: .venv/installed  ## formatting, lint, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/installed  ## build the documentation into site/; a broken link or reference is an error
	$(BIN)/mkdocs build --quiet

image: setup  ## write bench as an image for any Linux with Docker to bench-image.tar.gz, for `docker load`
	$(BIN)/python -m bench.lab.servers.bench_image bench-image.tar.gz

benchmark: setup  ## what this machine can tell: ceilings, noise floor, smallest effect
	$(BIN)/bench calibrate

benchmark-pcap: .venv/installed  ## bench's reader of captures beside scapy's, dpkt's and tshark's
	$(BIN)/python benchmarks/pcap_readers.py

benchmark-naive: setup  ## how often the usual ways of comparing are wrong, on two containers that are the same
	$(BIN)/python benchmarks/naive.py

benchmark-stall: setup  ## a server that stands still for 200 ms, as a closed and as an open loop see it
	$(BIN)/python benchmarks/stall.py

benchmark-interleaving: setup  ## the same question by slots and by arms that take turns, three times each
	$(BIN)/python benchmarks/interleaving.py

benchmark-workers: setup  ## one, two and four workers against a server that rests
	$(BIN)/python benchmarks/workers.py

benchmark-real-hosts: setup  ## the same scenario in the lab and over SSH, three times each, in turn
	$(BIN)/python -m benchmarks.real_hosts

RUN ?= $(lastword $(sort $(wildcard results/*/*/)))
benchmark-report: .venv/installed  ## time and memory of the report of RUN, multiplied to 10 million requests
	$(BIN)/python benchmarks/report_scale.py $(RUN)

benchmark-slots: .venv/installed  ## what storing a slot of RUN costs as the 10th, 1,000th and 10,000th
	$(BIN)/python benchmarks/slot_writing.py $(RUN)

watch-report: .venv/installed  ## write the page of RUN into site/report.html, again at every change of the code
	@mkdir -p site; while :; do \
	  $(BIN)/bench report $(RUN) --output site/report.html; touch site/.written; \
	  until [ -n "$$(find bench -newer site/.written -type f ! -name '*.pyc' -print -quit)" ]; do sleep 0.5; done; \
	done

distributions: setup  ## make quick in a smallest root of each Debian suite, or of those in SUITES
	$(BIN)/python -m tests.distributions $(if $(SUITES),--suites $(SUITES))

fuzz: .venv/installed  ## feed COUNT changed scenarios, captures and stored files to what reads them, from SEED on
	$(BIN)/python -m tests.fuzz --count $(or $(COUNT),10000) --seed $(or $(SEED),1)

chaos-hosts: setup  ## strike at COUNT runs over SSH, their hosts and connections, and look at what is left
	$(BIN)/python -m tests.chaos.real_hosts --count $(or $(COUNT),20) --seed $(or $(SEED),1)

chaos: setup  ## strike at COUNT runs while they go on, from SEED on, and look at what is left
	$(BIN)/python -m tests.chaos --count $(or $(COUNT),100) --seed $(or $(SEED),1)

differential: .venv/installed  ## readers of captures on 100,000 random packets, and both loops on 10,000 scripts of a server
	DIFFERENTIAL_PACKETS=100000 $(BIN)/pytest -s tests/pure/test_packets_differential.py
	DIFFERENTIAL_SCRIPTS=10000 $(BIN)/pytest -s tests/pure/test_loop_differential.py

setup: .venv/installed system  ## virtual environment and system packages; idempotent

.venv/installed: requirements.txt pyproject.toml
	@echo "== virtual environment in .venv, from the locked requirements"
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(MAKE) --no-print-directory install PACKAGES=python3-venv
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Tests start an sshd of their own, in namespaces. Installing its package must not start one on this machine.
.PHONY: system install
system:
	@command -v apt-get >/dev/null || exec $(BIN)/python -m bench.lab.hosts.requirements; \
	missing=$$(for package in $(PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || echo $$package; done); \
	case " $$(echo $$missing) " in *" openssh-server "*) systemctl mask --quiet ssh.service ssh.socket 2>/dev/null;; esac; \
	[ -z "$$missing" ] || $(MAKE) --no-print-directory install PACKAGES="$$(echo $$missing)"

install:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "== system packages: $(PACKAGES)"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(PACKAGES) >/dev/null; \
	else \
	  echo "Missing system packages, which may not be installed from here. Run this, then try again:" >&2; \
	  echo "  sudo apt-get install --no-install-recommends $(PACKAGES)" >&2; exit 3; \
	fi

rules: .venv/installed  ## count the rules that decide anew, as they were and as they are: docs/false-verdicts.md
	$(BIN)/python -m bench.validation --rules $(or $(EXPERIMENTS),1000) --experiments 0 --processes $$(nproc)

EXPERIMENTS ?= 1000
RUNS ?=
rates: .venv/installed  ## count false verdicts anew, simulated and of RUNS='results/... ...': docs/false-verdicts.md
	$(BIN)/python -m bench.validation --experiments $(EXPERIMENTS) --processes $$(nproc) --runs $(RUNS)

lock: .venv/installed  ## write requirements.txt anew from pyproject.toml
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras --extra dev --no-header \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements.txt pyproject.toml

clean:  ## remove what dead runs left on this machine
	$(BIN)/bench clean
