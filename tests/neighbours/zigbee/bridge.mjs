// Stands where Zigbee2MQTT stands: `node bridge.mjs PORT` announces every detector in the catalogue on the broker of this port and plays them all at once.
//
// The first line out lists them; then a word a line on the standard input, answered `done` when the broker has everything:
//   calm          whatever was in danger is not
//   danger N      the Nth danger of each begins (from 0), of those that have so many
//   test          the test button of each of which the zone status tells
// It ends with its input. Absent: the radio, joining, commands to a device, bridge/state.

import { createInterface } from "node:readline";
import { connectAsync } from "mqtt";
import { detectors, zone, zoneAttribute } from "./detector.mjs";

/** Alarm 1 with the bit for a test; some makers use the ninth bit. */
const PRESSED = [0x101, 0x201];
/** The bit of a property's access that says so; the others are commands. */
const PUBLISHED = 1;

const broker = await connectAsync(`mqtt://127.0.0.1:${process.argv[2]}`);
const all = await Promise.all(
    detectors().map(async (detector, number) => {
        const name = `detector ${number}`;
        return { detector, name, plan: await detector.plan(), pressed: await pressed(detector) };
    }),
);

const publish = ({ name }, state) => broker.publishAsync(`zigbee2mqtt/${name}`, JSON.stringify(state), { qos: 1 });

async function hear(one, frames) {
    let state;
    for (const frame of frames) state = await one.detector.hear(frame);
    if (state) await publish(one, state);
}

/** The frame of a pressed button, if the converters make a test of one. */
async function pressed(detector) {
    for (const frame of PRESSED.flatMap((word) => [zone(word), zoneAttribute(word)])) {
        const said = await detector.convert(frame).catch(() => ({}));
        if (said.test === true) return frame;
    }
}

const play = {
    calm: (one) => hear(one, one.plan.map(({ ends }) => ends)),
    danger: (one, number) => hear(one, one.plan.slice(number, number + 1).map(({ begins }) => begins)),
    test: (one) => hear(one, one.pressed ? [one.pressed] : []),
};

await broker.publishAsync("zigbee2mqtt/bridge/devices", JSON.stringify(all.map(({ detector, name }) => detector.announced(name))), { qos: 1, retain: true });
console.log(JSON.stringify(all.map(({ detector, name, plan, pressed }) => ({
    name,
    vendor: detector.definition.vendor,
    model: detector.definition.model,
    properties: detector.exposes.filter((expose) => expose.access & PUBLISHED).map((expose) => expose.property),
    dangers: plan.map(({ property }) => property),
    undriven: plan.filter(({ begins, ends }) => !begins || !ends).map(({ property }) => property),
    tests: pressed !== undefined,
}))));

for await (const line of createInterface({ input: process.stdin })) {
    const [word, number] = line.split(" ");
    await Promise.all(all.map((one) => play[word](one, Number(number))));
    console.log("done");
}
await broker.endAsync();
