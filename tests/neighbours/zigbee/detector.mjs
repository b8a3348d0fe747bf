// Detectors that are not there: what their radio would say goes through the real converters of Zigbee2MQTT, and what comes out is what Zigbee2MQTT would publish.
//
// A frame is chosen by what its maker's definition exposes, never by what the gateway understands: for each property that means danger, the first frame that sets it.
// Zone status by the ZigBee Cluster Library, 8.2.2.2.1.3: bit 0 alarm 1, bit 1 alarm 2, bit 2 tamper, bit 8 test. Absent: lights, joining, sleep, commands to a device.

import { createRequire } from "node:module";
import zhc from "zigbee-herdsman-converters";

const catalogue = createRequire(import.meta.url)("zigbee-herdsman-converters/devices/index").default;
const silent = { debug() {}, info() {}, warning() {}, error() {} };
zhc.setLogger(silent);

const DANGER = /^(smoke|gas|carbon_monoxide|heat|smoke_state|gas_sensor_state|co_state|(smoke|gas)_alarm(_[12])?)$/;
const ALARM_WORD = "alarm";

/** What this property says in danger; undefined when it is none, such as a gas meter's reading. */
function dangerous(expose) {
    if (!DANGER.test(expose.property ?? "")) return undefined;
    if (expose.type === "binary") return expose.value_on;
    return expose.type === "enum" && expose.values.includes(ALARM_WORD) ? ALARM_WORD : undefined;
}

const report = (cluster, data, type = "attributeReport") => ({ cluster, type, data });
export const zone = (zonestatus) =>
    report("ssIasZone", { zonestatus, extendedstatus: 0, zoneID: 1, delay: 0 }, "commandStatusChangeNotification");
export const zoneAttribute = (zoneStatus) => report("ssIasZone", { zoneStatus });

/** Frames of models that use neither zone status nor data points, by their converters. */
const OWN = [
    ...[2097281, 2097184].map((alarm_status) => report("twinguardAlarm", { alarm_status })),
    ...[314, 312].flatMap((attribute) => [1, 0].map((value) => report("manuSpecificLumi", { [attribute]: value }))),
    report("pHMeasurement", { measuredValue: 0 }),
    report(1034, [24], "raw"),
    ...[1, 0].map((zoneStatus) => ({ ...zoneAttribute(zoneStatus), endpoint: 3 })),
];

/** All that a detector of this kind may say of a danger. The words 33 and 32: alarm 1 and its end from devices that send supervision reports. */
function frames(definition) {
    const words = [0x00, 0x01, 0x02, 0x20, 0x21, 0x100];
    const named = definition.meta?.tuyaDatapoints?.filter(([, name]) => name === null || DANGER.test(name)).map(([point]) => point);
    const tuya = (named ?? [1, 2]).flatMap((point) => [1, 4].flatMap((type) => [0, 1, 2].map((value) => dataPoint(point, type, value))));
    return [...words.flatMap((word) => [zone(word), zoneAttribute(word)]), ...tuya, ...OWN];
}

/** Booleans (type 1) and steps (type 4) are one byte alike. */
function dataPoint(dp, datatype, value) {
    return report("manuSpecificTuya", { seq: 1, dpValues: [{ dp, datatype, data: Buffer.from([value]) }] }, "commandDataReport");
}

function fits(converter, frame) {
    return converter.cluster === frame.cluster && [converter.type].flat().includes(frame.type);
}

const nothing = async () => undefined;

/** The converters tell an endpoint from a device by the name of its class. */
class Endpoint {
    read = nothing;
    write = nothing;
    command = nothing;
    commandResponse = nothing;
    defaultResponse = nothing;
    constructor(device, number) {
        this.ID = number;
        this.deviceIeeeAddress = device.ieeeAddr;
        this.getDevice = () => device;
    }
}

class Device {
    type = "EndDevice";
    meta = {};
    customClusters = {};
    save() {}
    constructor(definition, ieeeAddr) {
        const print = definition.fingerprint?.[0];
        this.ieeeAddr = ieeeAddr;
        this.modelID = definition.zigbeeModel?.[0] ?? print?.modelID;
        this.manufacturerName = print?.manufacturerName;
        this.endpoints = [1, 2, 3].map((number) => new Endpoint(this, number));
    }
    getEndpoint(number) {
        return this.endpoints[number - 1];
    }
}

/** One detector: its definition, and the state that Zigbee2MQTT keeps of it and publishes whole. */
export class Detector {
    constructor(definition, number) {
        this.definition = definition;
        this.device = new Device(definition, `0x${number.toString(16).padStart(16, "0")}`);
        const { exposes } = definition;
        this.exposes = typeof exposes === "function" ? exposes({ isDummyDevice: true }, {}) : exposes;
        this.state = {};
        this.frames = 0;
    }

    /** As Zigbee2MQTT lists it on bridge/devices. */
    announced(name) {
        const { model, vendor, description } = this.definition;
        return {
            ieee_address: this.device.ieeeAddr,
            type: this.device.type,
            friendly_name: name,
            model_id: this.device.modelID,
            definition: { model, vendor, description, exposes: this.exposes },
        };
    }

    dangers() {
        return this.exposes.map((expose) => [expose.property, dangerous(expose)]).filter(([, on]) => on !== undefined);
    }

    /** What the converters make of a frame; nothing is kept. */
    async convert(frame) {
        const payload = {};
        const endpoint = this.device.getEndpoint(frame.endpoint ?? 1);
        // A frame with the number of the one before would be taken for the same.
        this.frames += 1;
        const message = { ...frame, device: this.device, endpoint, groupID: 0, linkquality: 120, meta: { zclTransactionSequenceNumber: this.frames, rawData: Buffer.alloc(0) } };
        for (const converter of this.definition.fromZigbee.filter((one) => fits(one, frame))) {
            const meta = { device: this.device, state: this.state, deviceExposesChanged() {}, logger: silent, publish() {} };
            Object.assign(payload, await converter.convert(this.definition, message, () => {}, {}, meta));
        }
        zhc.postProcessConvertedFromZigbeeMessage(this.definition, payload, {}, this.device);
        return payload;
    }

    /** Hears a frame; returns what is published then. */
    async hear(frame) {
        Object.assign(this.state, await this.convert(frame), { linkquality: 120 });
        return { ...this.state };
    }

    /** For each danger the frame that begins it and the one that ends it; what no frame begins is named. */
    async plan() {
        const plan = [];
        for (const [property, on] of this.dangers()) {
            const one = { property };
            for (const frame of frames(this.definition)) {
                // A converter throws at a step that its model has not got.
                const said = (await this.convert(frame).catch(() => ({})))[property];
                if (said === on) one.begins ??= frame;
                else if (said !== undefined && !["detecting", "unknown"].includes(said)) one.ends ??= frame;
            }
            plan.push(one);
        }
        return plan;
    }
}

/** Every model in the catalogue that can tell of smoke, heat or gas. */
export function detectors() {
    return catalogue.map((raw, number) => new Detector(zhc.prepareDefinition(raw), number + 1)).filter((one) => 0 < one.dangers().length);
}
