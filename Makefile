# The two commands: make run, make test. Each does all its own set-up on a Debian machine that has Rust, Node and apt.

SHELL := /bin/bash
CARGO ?= cargo
VENV := .run/venv
PYTHON_PACKAGES := pymodbus==3.16.1 paho-mqtt==2.2.0 pyserial==3.5

.DEFAULT_GOAL := help
.PHONY: help run test check bench setup-run setup-test clean-run

help:
	@echo "make run    build and start the demo: a station with a simulated neighbourhood, in a minute"
	@echo "make test   every test, against real neighbours"
	@echo "make check  formatting, lints"
	@echo "make bench  measurements, as ratios against a baseline in the same run"

# Installs the Debian packages of $(1) whose programs are missing.
define debian
	@missing=""; for pair in $(1); do [ -x "$${pair#*=}" ] || missing="$$missing $${pair%%=*}"; done; \
	if [ -n "$$missing" ]; then \
	  echo "installing:$$missing"; sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  DEBIAN_FRONTEND=noninteractive $$sudo apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing >/dev/null || exit 1; \
	fi
endef

setup-run:
	$(call debian,gcc=/usr/bin/gcc curl=/usr/bin/curl)

setup-test: $(VENV)/.ready
	$(call debian,gcc=/usr/bin/gcc mosquitto=/usr/sbin/mosquitto mosquitto-clients=/usr/bin/mosquitto_pub \
	  victoria-metrics=/usr/bin/victoria-metrics influxdb=/usr/bin/influxd chromium=/usr/bin/chromium \
	  mbpoll=/usr/bin/mbpoll socat=/usr/bin/socat openssl=/usr/bin/openssl faketime=/usr/bin/faketime)

$(VENV)/.ready: Makefile
	@python3 -c 'import venv, ensurepip' 2>/dev/null || { sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; $$sudo apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq python3 python3-venv >/dev/null; }
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check $(PYTHON_PACKAGES)
	@touch $@

run: setup-run
	$(CARGO) build --release --locked -p gateway -p firmware-sim
	@exec config/demo/run.sh target/release

test: setup-test
	$(CARGO) test --workspace --locked --no-fail-fast

check:
	$(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

bench:
	$(CARGO) bench --workspace --locked

clean-run:
	rm -rf .run/demo
