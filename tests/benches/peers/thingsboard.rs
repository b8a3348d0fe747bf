//! thingsboard-gateway from PyPI: registers over Modbus. Any MQTT broker is platform enough for it.

use std::process::Command;

use serde_json::{Value, json};
use tests::neighbours::root;

use super::{Program, folder, installed};

pub const NAME: &str = "thingsboard-gateway 3.8.5";

/// Reads the registers of each unit behind this port, every millisecond if it can.
pub fn poller(broker: u16, port: u16, units: u8, registers: u16) -> Result<Program, String> {
    let program = root().join(".run/peers/thingsboard/bin/thingsboard-gateway");
    installed(&program)?;
    let gateway = json!({
        "thingsboard": {
            "host": "127.0.0.1", "port": broker, "remoteShell": false, "remoteConfiguration": false,
            "statistics": { "enable": false }, "minPackSendDelayMS": 50, "minPackSizeToSend": 500, "maxPayloadSizeBytes": 8196,
            "checkConnectorsConfigurationInSeconds": 600, "qos": 1, "security": { "type": "accessToken", "accessToken": "bench" },
            "reportStrategy": { "type": "ON_RECEIVED" },
        },
        "storage": { "type": "memory", "read_records_count": 100, "max_records_count": 100_000 },
        "grpc": { "enabled": false },
        "connectors": [{ "type": "modbus", "name": "line", "configuration": "modbus.json" }],
    });
    let unit = |unit: u8| {
        json!({
            "host": "127.0.0.1", "port": port, "type": "tcp", "method": "socket", "unitId": unit, "deviceName": format!("HY-{unit}"),
            "deviceType": "default", "timeout": 1, "byteOrder": "BIG", "wordOrder": "BIG", "retries": 1, "retryOnEmpty": true, "retryOnInvalid": true,
            "pollPeriod": 1, "connectAttemptTimeMs": 5000, "connectAttemptCount": 5, "waitAfterFailedAttemptsMs": 300_000,
            "attributes": [], "attributeUpdates": [], "rpc": [],
            "timeseries": [{ "tag": "pressure", "type": "string", "functionCode": 3, "objectsCount": registers, "address": 0 }],
        })
    };
    let modbus = json!({ "master": { "slaves": (1..=units).map(unit).collect::<Vec<Value>>() } });
    let logs = json!({
        "version": 1, "disable_existing_loggers": false,
        "handlers": { "consoleHandler": { "class": "logging.StreamHandler", "level": 40 } },
        "root": { "level": "ERROR", "handlers": ["consoleHandler"] },
    });
    let folder = folder(&[
        ("tb_gateway.json", &gateway.to_string()),
        ("modbus.json", &modbus.to_string()),
        ("logs.json", &logs.to_string()),
    ]);
    let mut command = Command::new(program);
    command.env("TB_GW_CONFIG_DIR", folder.path());
    Program::start(&mut command, folder, None)
}
