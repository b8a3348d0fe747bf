# The two commands: make run, make test. Each does all its own set-up on a Debian machine that has Rust, Node and apt.

SHELL := /bin/bash
CARGO ?= cargo
VENV := .run/venv
SPARKPLUG := .run/sparkplug
ZIGBEE := tests/neighbours/zigbee
PYTHON_PACKAGES := pymodbus==3.16.1 paho-mqtt==2.2.0 pyserial==3.5 chirpstack-api==4.20.0

.DEFAULT_GOAL := help
.PHONY: help web pictures stopwatch run test check bench torture torture-flood torture-day peers setup-run setup-test clean-run

help:
	@echo "make run    build and start the demo: a station with a simulated neighbourhood, in a minute"
	@echo "make web    build the pages that the program carries"
	@echo "make test   every test, against real neighbours"
	@echo "make torture  the long runs: kills, floods, simulated histories, fuzzing (hours)"
	@echo "make pictures  screenshots of every page into docs/pictures, from the demo (a minute or two)"
	@echo "make stopwatch  what the worker's tasks take on a slow phone, into docs/worker-app.md"
	@echo "make peers  what kill -9 does to Alertmanager, Mosquitto and Node-RED, and to Gridwarden (minutes)"
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

# The pages: built once, and again when their sources change. gateway/build.rs takes dist/ into the program.
WEB := dashboards/web
WEB_SOURCES := $(shell find $(WEB)/src $(WEB)/public $(WEB)/worker $(WEB)/report $(WEB)/index.html $(WEB)/*.json $(WEB)/*.ts $(WEB)/*.js -type f 2>/dev/null)
web: $(WEB)/dist/index.html

$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json
	@command -v npm >/dev/null || { echo "The pages are built with Node.js 20.19 or newer and npm; install them."; exit 1; }
	cd $(WEB) && npm ci --silent --no-audit --no-fund

$(WEB)/dist/index.html: $(WEB)/node_modules/.package-lock.json $(WEB_SOURCES)
	cd $(WEB) && npm run --silent build

setup-run:
	$(call debian,gcc=/usr/bin/gcc curl=/usr/bin/curl)

setup-test: $(VENV)/.ready $(SPARKPLUG)/.ready dashboards/grafana/node_modules/.package-lock.json $(ZIGBEE)/node_modules/.package-lock.json
	$(call debian,gcc=/usr/bin/gcc mosquitto=/usr/sbin/mosquitto mosquitto-clients=/usr/bin/mosquitto_pub \
	  victoria-metrics=/usr/bin/victoria-metrics influxdb=/usr/bin/influxd chromium=/usr/bin/chromium \
	  mbpoll=/usr/bin/mbpoll socat=/usr/bin/socat openssl=/usr/bin/openssl faketime=/usr/bin/faketime)

# Grafana's types and the parser of Flux, with which the dashboards are tested.
dashboards/grafana/node_modules/.package-lock.json: dashboards/grafana/package-lock.json
	cd dashboards/grafana && npm ci --silent --no-audit --no-fund

# The converters of Zigbee2MQTT. Its serial port is not built: the tests have no radio.
$(ZIGBEE)/node_modules/.package-lock.json: $(ZIGBEE)/package-lock.json
	cd $(ZIGBEE) && npm ci --silent --no-audit --no-fund --ignore-scripts

$(VENV)/.ready: Makefile
	@python3 -c 'import venv, ensurepip' 2>/dev/null || { sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; $$sudo apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq python3 python3-venv >/dev/null; }
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check $(PYTHON_PACKAGES)
	@touch $@

# A place of its own: the library wants an older paho-mqtt.
$(SPARKPLUG)/.ready: $(VENV)/.ready
	python3 -m venv $(SPARKPLUG)
	$(SPARKPLUG)/bin/pip install --quiet --disable-pip-version-check pysparkplug==0.6.1
	@touch $@

run: setup-run web
	$(CARGO) build --release --locked -p gateway -p firmware-sim
	@exec config/demo/run.sh target/release

# The programs are built first: some tests start and kill them.
test: setup-test web
	$(CARGO) build --workspace --locked
	$(CARGO) test --workspace --locked --no-fail-fast

check: web
	$(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets --features tests/measure --locked -- -D warnings

# Everything that is measured, in one go; writes docs/benchmarks.md. `make bench ONLY="decode engine"` measures only that. Only when asked for:
# `ONLY=start`, with 5 GB of journal, and `ONLY=city-30`, which takes half an hour.
bench: setup-bench web
	$(CARGO) build --release --locked -p gateway -p firmware-sim
	$(CARGO) bench --locked -p tests --features measure --bench city -- $(ONLY)

# Programs of others that are measured beside us. Whatever cannot be installed is left out, and its rows say so.
.PHONY: setup-bench peer-node-red peer-thingsboard peer-alertmanager peer-collectd
setup-bench: setup-test
	@$(MAKE) -s -k peer-node-red peer-thingsboard peer-alertmanager peer-collectd || echo "not every peer could be installed; what is missing is not measured"

NODE_RED := 4.1.8
peer-node-red: .run/peers/node-red/node_modules/node-red-contrib-influxdb/package.json
.run/peers/node-red/node_modules/node-red-contrib-influxdb/package.json:
	npm install --silent --no-audit --no-fund --prefix .run/peers/node-red node-red@$(NODE_RED) node-red-contrib-influxdb@0.7.0

# It installs its Modbus library by itself when it runs, unless it is there.
peer-thingsboard: .run/peers/thingsboard/.ready
.run/peers/thingsboard/.ready: $(VENV)/.ready
	python3 -m venv .run/peers/thingsboard
	.run/peers/thingsboard/bin/pip install --quiet --disable-pip-version-check thingsboard-gateway==3.8.5 pymodbus==3.9.2 pyserial==3.5 pyserial-asyncio==0.6
	@touch $@

peer-alertmanager:
	$(call debian,prometheus-alertmanager=/usr/bin/prometheus-alertmanager)

# Debian only suggests the libraries of its plugins.
peer-collectd:
	@[ -x /usr/sbin/collectd ] || { sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; $$sudo apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends collectd-core libmodbus5 libmosquitto1 >/dev/null; }

# Long; each writes its figures to .run/torture/. Seeds and counts are arguments of the programs.
torture: setup-test web
	$(CARGO) build --release --locked -p gateway -p tests --bins
	target/release/torture-crash 1 200
	target/release/torture-crash 2 60 --broker
	target/release/torture-start

torture: torture-flood

# Floods and priority: fires per situation, seconds of flood, points that gather in an outage.
torture-flood: setup-test web
	$(CARGO) build --release --locked -p gateway
	$(CARGO) bench --locked -p tests --features measure --bench flood -- 200 60 2000000

# InfluxDB away for a day at 1,000 points/s; then with a journal too small for it. The allocator as in the service of docs/install.md.
torture: torture-day
torture-day: web
	$(CARGO) build --release --locked -p gateway -p tests --bin gridwarden --bin torture-day
	MALLOC_ARENA_MAX=2 target/release/torture-day
	MALLOC_ARENA_MAX=2 target/release/torture-day 12000000 16

# The same faults beside us.
peers: setup-test web peer-node-red peer-alertmanager
	$(CARGO) build --release --locked -p gateway
	$(VENV)/bin/python tests/peers target/release/gridwarden

# Screenshots of every page from the demo, and of the map of a city.
PROGRAMS ?= target/debug
pictures: setup-test web clean-run
	$(CARGO) build --locked -p gateway -p firmware-sim
	node tests/web/pictures.mjs $(PROGRAMS)
	GRIDWARDEN_PICTURES=$(CURDIR)/docs/pictures $(CARGO) test --locked -p tests --test e2e the_map_of_a_city
	GRIDWARDEN_PICTURES=$(CURDIR)/docs/pictures/phone $(CARGO) test --locked -p tests --test e2e a_worker_s_phone

# The tables of docs/worker-app.md: what tasks take on a slow phone.
stopwatch: setup-test web
	GRIDWARDEN_TABLES=$(CURDIR)/docs/worker-app.md $(CARGO) test --locked -p tests --test e2e tasks_on_a_slow_phone

clean-run:
	rm -rf .run/demo

# --- Long runs; each adds itself to `torture` ----------------------------------------------------------------------------------------------

SIM_SEEDS ?= 10000
FUZZ_SECONDS ?= 600
FUZZ_TARGETS = $(basename $(notdir $(wildcard tests/fuzz/fuzz_targets/*.rs)))
.PHONY: torture torture-sim torture-fuzz

torture: torture-sim
torture-sim: web
	SIM_SEEDS=$(SIM_SEEDS) $(CARGO) test --locked -p tests --test sim any_seed -- --nocapture
	SIM_REAL_SEEDS=200 $(CARGO) test --locked -p tests --test sim the_real_store_agrees

torture: torture-fuzz
torture-fuzz: web
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --locked cargo-fuzz
	@mkdir -p .run/torture
	@printf '| target | executions | seconds | what was found |\n|---|---|---|---|\n' > .run/torture/fuzz.md
	@# Without a sanitizer: there is no unsafe code of ours to find fault with, and it makes building and running several times faster.
	@for target in $(FUZZ_TARGETS); do \
	  mkdir -p .run/fuzz/$$target; \
	  RUST_BACKTRACE=1 $(CARGO) +nightly fuzz run -s none --fuzz-dir tests/fuzz --target-dir target/fuzz $$target .run/fuzz/$$target tests/fuzz/corpus/$$target \
	    -- -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=1 > .run/fuzz/$$target.log 2>&1 \
	    && found=nothing || found="a failure, see .run/fuzz/$$target.log"; \
	  count=$$(sed -n 's/^stat::number_of_executed_units: *//p' .run/fuzz/$$target.log); \
	  echo "| $$target | $$count | $(FUZZ_SECONDS) | $$found |" | tee -a .run/torture/fuzz.md; \
	done; ! grep -q failure .run/torture/fuzz.md
