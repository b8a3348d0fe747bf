"""Gridwarden under the faults of the three others."""

import json
import pathlib
import signal
import tempfile

from common import ROOT, Program, Receiver, ask, free_port, quiet, ready, until
from mqtt import mosquitto, publish
from node_red import measure

TOKEN = "a-token-for-the-peers"
STATION = """rules = "rules.toml"
[station]
id = "peers"
name = "peers"
[store]
path = "station.db"
[registry]
cells = ["cells.geojson"]
devices = ["devices.csv"]
people = ["people.csv"]
[http]
bind = "127.0.0.1:{http}"
[[http.token]]
name = "operator"
secret = {{ file = "token" }}
[listener]
bind = "127.0.0.1:{mqtt}"
messages_per_s_max = 1000000
[[topic]]
filter = "gridwarden/up/#"
decoder = "native"
[[webhook]]
name = "duty"
url = "{url}"
[influx]
url = "{influx}"
org = "o"
bucket = "b"
gzip = false
batch_ms = 100
"""
BROKER = """[[broker]]
name = "main"
host = "127.0.0.1"
port = {port}
client_id = "gridwarden-peers"
subscribe = ["gridwarden/up/#"]
"""
RULES = """[[rule]]
name = "smoke"
class = "fire"
text = "smoke at {place}"
kinds = ["smoke_detector"]
ladder = "fire"
state = { flag = "smoke" }
[[ladder]]
name = "fire"
[[ladder.step]]
after_s = 0
who = ["responsible"]
channels = ["duty"]
"""


class Station:
    def __init__(self, program, devices, receiver, influx, broker=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="peers-gridwarden-"))
        self.http, self.mqtt = free_port(), free_port()
        square = [[[118.90, 32.10], [118.94, 32.10], [118.94, 32.14], [118.90, 32.14], [118.90, 32.10]]]
        cell = {"code": "C", "name": "C", "scheme": "admin", "kind": "residential"}
        feature = {"type": "Feature", "properties": cell, "geometry": {"type": "Polygon", "coordinates": square}}
        text = STATION.format(http=self.http, mqtt=self.mqtt, url=receiver.url(), influx=influx.url().rstrip("/"))
        self.write("station.toml", text + (BROKER.format(port=broker.port) if broker else ""))
        self.write("rules.toml", RULES)
        self.write("token", TOKEN)
        (self.folder / "token").chmod(0o600)
        self.write("cells.geojson", json.dumps({"type": "FeatureCollection", "features": [feature]}))
        self.write("people.csv", "id,name,phone,role,cell,from,until\nwang-li,Wang Li,10000000001,lead,C,2020-01-01,\n")
        rows = "".join(f"{name},smoke_detector,d,,C,p,118.91,32.11,\n" for name in devices)
        self.write("devices.csv", "id,kind,name,address,cell,place,lon,lat,silent_after_s\n" + rows)
        self.program = Program([str(program), "run", "-c", "station.toml"], self.http, self.folder)
        self.ready()

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def ready(self):
        ready(f"http://127.0.0.1:{self.http}/readyz")

    def again(self):
        self.program.again()
        self.ready()

    def api(self, path, body=None):
        return ask(f"http://127.0.0.1:{self.http}/api/v1{path}", body, TOKEN)

    def alarms(self, state):
        found, page = [], self.api(f"/alarms?state={state}&limit=200")
        while page["items"]:
            found += [alarm["id"] for alarm in page["items"]]
            if not page.get("next"):
                break
            page = self.api(f"/alarms?state={state}&limit=200&before={page['next']}")
        return found


def alarms(program, many, acknowledged):
    """As Alertmanager: open alarms, and what an operator did, after kill -9."""
    receiver, influx = Receiver(0), Receiver(0)
    station = Station(program, [f"SD-{n}" for n in range(many)], receiver, influx)
    publish(station.mqtt, ((f"gridwarden/up/SD-{n}", b'{"values":{"smoke":true}}') for n in range(many)))
    for alarm in station.alarms("unacknowledged")[:acknowledged]:
        station.api(f"/alarms/{alarm}/acknowledge", {})

    def count():
        deeds = len(station.alarms("acknowledged"))
        return len(station.alarms("unacknowledged")) + deeds, deeds

    before = count()
    station.again()
    after = count()
    station.program.end(signal.SIGTERM)
    return before, after


def queue(program, many):
    """As Mosquitto: readings acknowledged while their reader (InfluxDB) is away, after kill -9."""
    receiver, influx = Receiver(0), Receiver(0)
    influx.away = True
    station = Station(program, [f"SD-{n}" for n in range(many)], receiver, influx)
    acknowledged = publish(station.mqtt, ((f"gridwarden/up/SD-{n}", b'{"values":{"temperature":21.5}}') for n in range(many)))
    station.again()
    influx.away = False

    def arrived():
        lines = [line for body in list(influx.bodies) for line in body.split(b"\n")]
        return {tag for line in lines for tag in line.split(b" ")[0].split(b",") if tag.startswith(b"device=")}

    until("InfluxDB is written to", 90, arrived)
    kept = quiet(lambda: len(arrived()))
    station.program.end(signal.SIGTERM)
    return acknowledged, kept


def flow(program, many, kill):
    """As Node-RED: from the broker to HTTP, killed while messages flow."""
    broker, receiver, influx = mosquitto("persistence false"), Receiver(), Receiver(0)
    station = Station(program, ["WARM", *(f"SD-{n}" for n in range(many))], receiver, influx, broker)
    lost = measure(
        broker, receiver, station.program, many, kill, lambda body: json.loads(body)["alarm"]["device"]["id"]
    )
    station.program.end(signal.SIGTERM)
    broker.end()
    return lost
