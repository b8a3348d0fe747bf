"""Mosquitto as a neighbour, and a publisher that knows what was acknowledged to it."""

import pathlib
import tempfile

import paho.mqtt.client as paho

from common import Program, free_port, until


def mosquitto(settings=""):
    folder, port = tempfile.mkdtemp(prefix="peers-mosquitto-"), free_port()
    file = pathlib.Path(folder) / "mosquitto.conf"
    file.write_text(f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n{settings}\n")
    return Program(["/usr/sbin/mosquitto", "-c", str(file)], port, folder)


def client(port, client_id, clean=True, on_message=None):
    made = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=clean)
    made.on_message = on_message
    made.max_queued_messages_set(0)
    made.connect("127.0.0.1", port)
    made.loop_start()
    until("the client is connected", 20, made.is_connected)
    return made


def publish(port, messages, progress=lambda sent: None):
    """Sends every (topic, payload) with QoS 1; returns how many were acknowledged, which is all."""
    sender = client(port, "sender")
    sent = []
    for topic, payload in messages:
        sent.append(sender.publish(topic, payload, qos=1))
        progress(len(sent))
    for one in sent:
        one.wait_for_publish(60)
    acknowledged = sum(one.is_published() for one in sent)
    sender.disconnect()
    sender.loop_stop()
    return acknowledged
