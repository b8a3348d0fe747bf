"""Node-RED: MQTT with QoS 1 and a session that stays -> function -> HTTP. Killed while messages flow."""

import json
import pathlib
import shutil
import tempfile

from common import ROOT, Program, Receiver, free_port, quiet, until
from mqtt import mosquitto, publish

PROGRAM = ROOT / ".run/peers/node-red/node_modules/node-red/red.js"


def flow(broker_port, url):
    return [
        {"id": "page", "type": "tab", "label": "alerts"},
        {"id": "street", "type": "mqtt-broker", "broker": "127.0.0.1", "port": str(broker_port), "clientid": "flow",
         "autoConnect": True, "protocolVersion": "4", "keepalive": "15", "cleansession": False},
        {"id": "heard", "type": "mqtt in", "z": "page", "topic": "gridwarden/up/#", "qos": "1", "datatype": "utf8",
         "broker": "street", "inputs": 0, "wires": [["step"]]},
        {"id": "step", "type": "function", "z": "page", "outputs": 1, "wires": [["post"]],
         "func": "msg.payload = { device: msg.topic.split('/').pop() }; msg.headers = {}; return msg;"},
        {"id": "post", "type": "http request", "z": "page", "method": "POST", "ret": "txt", "url": url, "wires": [[]]},
    ]


def run(messages, kill):
    broker, receiver = mosquitto("persistence false"), Receiver()
    folder, port = pathlib.Path(tempfile.mkdtemp(prefix="peers-node-red-")), free_port()
    (folder / "flows.json").write_text(json.dumps(flow(broker.port, receiver.url())))
    (folder / "settings.js").write_text("module.exports = { flowFile: 'flows.json', uiHost: '127.0.0.1', telemetry: { enabled: false } };\n")
    arguments = [shutil.which("node"), str(PROGRAM), "-u", str(folder), "-s", str(folder / "settings.js"), "-p", str(port)]
    program = Program(arguments, port, folder)
    lost = measure(broker, receiver, program, messages, kill, lambda body: json.loads(body)["device"])
    program.end()
    broker.end()
    return lost


def measure(broker, receiver, program, messages, kill, device):
    """Acknowledged by the broker, and of them never seen at the receiver."""
    payload = b'{"values":{"smoke":true}}'

    def seen():
        return {device(body) for body in list(receiver.bodies)}

    def warm():
        publish(broker.port, [("gridwarden/up/WARM", payload)])
        return "WARM" in seen()

    until("the way is open from end to end", 60, warm)
    topics = [f"SD-{n}" for n in range(messages)]
    acknowledged = publish(broker.port, ((f"gridwarden/up/{topic}", payload) for topic in topics))
    until("a quarter has arrived", 120, lambda: messages // 4 <= len(seen()))
    if kill:
        program.again()
    quiet(lambda: len(receiver.bodies), 15)
    return acknowledged, len(set(topics) - seen())
