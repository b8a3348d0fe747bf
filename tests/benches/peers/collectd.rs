//! collectd of Debian: values over MQTT, passed on as Graphite lines, and registers over Modbus.

use std::path::Path;
use std::process::Command;

use super::{Program, folder, installed};

pub const NAME: &str = "collectd";
const PROGRAM: &str = "/usr/sbin/collectd";
const GENERAL: &str = "Hostname \"bench\"\nFQDNLookup false\nBaseDir \"data\"\nPIDFile \"data/pid\"\nTypesDB \"/usr/share/collectd/types.db\"\n";

/// Takes `…/<device>/<anything>/gauge-<name>` with a payload such as `N:21.5` from the broker.
pub fn subscriber(broker: u16, graphite: u16) -> Result<Program, String> {
    run(&format!(
        "Interval 10\nLoadPlugin mqtt\n<Plugin mqtt>\n<Subscribe \"street\">\nHost \"127.0.0.1\"\nPort {broker}\nTopic \"collectd/#\"\nQoS 1\n</Subscribe>\n</Plugin>\n\
         LoadPlugin write_graphite\n<Plugin write_graphite>\n<Node \"db\">\nHost \"127.0.0.1\"\nPort \"{graphite}\"\nProtocol \"tcp\"\nLogSendErrors true\n</Node>\n</Plugin>\n"
    ))
}

/// Reads one register of each unit behind this port, as often as the line allows. collectd knows no reading of several registers as several values.
pub fn poller(port: u16, units: u8) -> Result<Program, String> {
    let slaves: String = (1..=units)
        .map(|unit| format!("<Slave {unit}>\nInstance \"u{unit}\"\nCollect \"pressure\"\n</Slave>\n"))
        .collect();
    run(&format!(
        "Interval 0.001\nLoadPlugin modbus\n<Plugin modbus>\n\
         <Data \"pressure\">\nRegisterBase 4\nRegisterType Int16\nRegisterCmd ReadHolding\nType gauge\nInstance \"p\"\n</Data>\n\
         <Host \"line\">\nAddress \"127.0.0.1\"\nPort \"{port}\"\nInterval 0.001\n{slaves}</Host>\n</Plugin>\n"
    ))
}

fn run(settings: &str) -> Result<Program, String> {
    installed(Path::new(PROGRAM))?;
    let folder = folder(&[("collectd.conf", &format!("{GENERAL}{settings}"))]);
    std::fs::create_dir(folder.path().join("data")).unwrap();
    Program::start(Command::new(PROGRAM).args(["-f", "-C", "collectd.conf"]), folder, None)
}
