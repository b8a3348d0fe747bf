"""ChirpStack with one device, by the messages it publishes itself (chirpstack-api, integration.proto) in their JSON form. `chirpstack.py PORT` connects to the broker of this port.

On stdin it is told what happens, one line each; it answers `done` when the broker has it:

    up 017564037B0A00   the device has sent these bytes on port 85
    txack               a gateway has sent the newest downlink
    ack                 the device has acknowledged it
    nack                it has not
    drop                the newest downlink is thrown away, because it is too long

A downlink that is asked for is printed as `told PORT HEX confirmed`, one that integration.proto does not know as `wrong` and why.
"""

import sys
import uuid

import paho.mqtt.client as mqtt
from chirpstack_api.integration import integration_pb2 as proto
from google.protobuf import json_format

DEVICE = proto.DeviceInfo(
    tenant_name="street", application_id=str(uuid.uuid4()), application_name="hydrants", device_profile_name="EM500-PP",
    device_name="east gate", dev_eui="24e124136b502217",
)
ROOT = f"application/{DEVICE.application_id}/device/{DEVICE.dev_eui}"
newest = proto.DownlinkCommand()


def say(line):
    print(line, flush=True)


def heard(client, userdata, message):
    try:
        asked = json_format.Parse(message.payload, proto.DownlinkCommand())
        uuid.UUID(asked.id)
    except (json_format.ParseError, ValueError) as error:
        return say(f"wrong {error}")
    if asked.dev_eui != DEVICE.dev_eui or asked.f_port == 0:
        return say(f"wrong {asked}")
    newest.CopyFrom(asked)
    say(f"told {asked.f_port} {asked.data.hex()} {'confirmed' if asked.confirmed else 'unconfirmed'}")


def publish(client, event, message):
    message.device_info.CopyFrom(DEVICE)
    message.time.GetCurrentTime()
    client.publish(f"{ROOT}/event/{event}", json_format.MessageToJson(message), qos=1).wait_for_publish(10)


def happens(client, word, rest):
    if word == "up":
        happens.counter += 1
        publish(client, "up", proto.UplinkEvent(f_cnt=happens.counter, f_port=85, data=bytes.fromhex(rest)))
    elif word == "txack":
        publish(client, "txack", proto.TxAckEvent(queue_item_id=newest.id, f_cnt_down=1, gateway_id="0016c001f1500812"))
    elif word in ("ack", "nack"):
        publish(client, "ack", proto.AckEvent(queue_item_id=newest.id, acknowledged=word == "ack", f_cnt_down=1))
    elif word == "drop":
        publish(client, "log", proto.LogEvent(
            level=proto.ERROR, code=proto.DOWNLINK_PAYLOAD_SIZE, description="the payload is too long", context={"queue_item_id": newest.id}))
    say("done")


happens.counter = 0
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.on_message = heard
client.on_subscribe = lambda *_: say("ready")
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_start()
client.subscribe(f"{ROOT}/command/down", qos=1)
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    happens(client, word, rest)
client.disconnect()
