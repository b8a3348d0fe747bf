"""A paho client driven by lines on stdin; says what happens as lines on stdout.

    publish <topic> <qos> <retain 0|1> <payload>
    subscribe <filter> <qos>
    disconnect
"""
import argparse
import sys

import paho.mqtt.client as mqtt

p = argparse.ArgumentParser()
p.add_argument("--port", type=int, required=True)
p.add_argument("--v5", action="store_true")
p.add_argument("--id", required=True)
p.add_argument("--user")
p.add_argument("--password")
p.add_argument("--will")
p.add_argument("--will-payload", default="offline")
p.add_argument("--persistent", action="store_true")
a = p.parse_args()


def say(*words):
    print(*words, flush=True)


client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2,
    client_id=a.id,
    protocol=mqtt.MQTTv5 if a.v5 else mqtt.MQTTv311,
    clean_session=None if a.v5 else not a.persistent,
    reconnect_on_failure=False,
)
if a.user:
    client.username_pw_set(a.user, a.password)
if a.will:
    client.will_set(a.will, a.will_payload, qos=1, retain=True)
client.on_connect = lambda c, u, flags, reason, props: say("connected", reason.value, int(flags.session_present))
client.on_disconnect = lambda c, u, flags, reason, props: say("disconnected", reason.value)
client.on_publish = lambda c, u, mid, reason, props: say("published", reason.value)
client.on_subscribe = lambda c, u, mid, reasons, props: say("subscribed", *[r.value for r in reasons])
client.on_message = lambda c, u, m: say("message", m.topic, m.qos, int(m.retain), m.payload.decode())
extra = {"clean_start": not a.persistent} if a.v5 else {}
client.connect("127.0.0.1", a.port, keepalive=30, **extra)
client.loop_start()
for line in sys.stdin:
    words = line.rstrip("\n").split(" ")
    if words[0] == "publish":
        client.publish(words[1], " ".join(words[4:]), qos=int(words[2]), retain=words[3] == "1")
    elif words[0] == "subscribe":
        client.subscribe(words[1], int(words[2]))
    elif words[0] == "disconnect":
        client.disconnect()
