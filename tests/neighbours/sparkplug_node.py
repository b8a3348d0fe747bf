"""A Sparkplug edge node with a smoke detector behind it, by the client library pysparkplug. On stdin it is told what to do, one line each:

    smoke 1     the detector reports
    skip        a sequence number is lost on the way
    new         a second detector is born
    leave       the second detector dies

It prints `born` when its births are out, and `asked` when a host asks for them again. At the end of stdin it dies without a word, so that its will speaks.
"""

import itertools
import os
import sys
import threading
import time

from pysparkplug import (
    DataType, DBirth, Device, EdgeNode, Message, MessageType, Metric, NBirth, QoS, Topic, get_current_timestamp,
)

REBIRTH = "Node Control/Rebirth"


def metric(name, datatype, value):
    return Metric(timestamp=get_current_timestamp(), name=name, datatype=datatype, value=value)


def publish(node, kind, device, payload):
    topic = Topic(message_type=kind, group_id=node.group_id, edge_node_id=node.edge_node_id, device_id=device)
    node._client.publish(Message(topic=topic, payload=payload, qos=QoS.AT_MOST_ONCE, retain=False), include_dtypes=True)


def bear(node):
    """The births once more; the library has them only for a new connection. The number is that of this connection's will."""
    node._EdgeNode__seq_cycler = itertools.cycle(range(256))
    now = get_current_timestamp()
    own = (*node.metrics.values(), metric("bdSeq", DataType.INT64, 0))
    publish(node, MessageType.NBIRTH, None, NBirth(timestamp=now, seq=node._seq, metrics=own))
    for name, device in node.devices.items():
        publish(node, MessageType.DBIRTH, name, DBirth(timestamp=now, seq=node._seq, metrics=tuple(device.metrics.values())))
    print("born", flush=True)


def commanded(node, message):
    if any(one.name == REBIRTH and one.value is True for one in message.payload.metrics):
        print("asked", flush=True)
        # Not on the thread that brought the command: it must go on reading.
        threading.Thread(target=bear, args=(node,)).start()


def detector(name):
    return Device(name, [metric("Detector/Smoke", DataType.BOOLEAN, False), metric("Battery", DataType.INT8, 93)])


node = EdgeNode("fire", "block-3", [metric(REBIRTH, DataType.BOOLEAN, False)], cmd_callback=commanded)
node.register(detector("hall"))
node.connect("127.0.0.1", port=int(sys.argv[1]))
while not node._connected:
    time.sleep(0.01)
print("born", flush=True)
for line in sys.stdin:
    match line.split():
        case ["smoke", flag]:
            node.update_device("hall", [metric("Detector/Smoke", DataType.BOOLEAN, flag == "1")])
        case ["skip"]:
            node._seq
        case ["new"]:
            node.register(detector("roof"))
        case ["leave"]:
            node.deregister("roof")
os._exit(0)
