"""Mosquitto of Debian with persistence: messages acknowledged to the sender that wait for a reader who is away."""

import signal
import threading

from common import quiet
from mqtt import client, mosquitto, publish


def run(messages, settings, how):
    broker = mosquitto("persistence true\n" + settings)
    reader = client(broker.port, "reader", clean=False)
    subscribed = threading.Event()
    reader.on_subscribe = lambda *_: subscribed.set()
    reader.subscribe("up/#", qos=1)
    subscribed.wait(20)
    reader.disconnect()
    reader.loop_stop()
    acknowledged = publish(broker.port, ((f"up/{n}", b"smoke") for n in range(messages)))
    if how is not None:
        broker.again(how)
    arrived = set()
    # The session is known by the reader's name; what waited comes without another subscription.
    back = client(broker.port, "reader", clean=False, on_message=lambda *given: arrived.add(given[2].topic))
    kept = quiet(lambda: len(arrived))
    back.disconnect()
    back.loop_stop()
    broker.end(signal.SIGTERM)
    return acknowledged, kept
