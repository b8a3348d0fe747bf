//! The program under systemd: ready when everything is bound, a sign of life that proves progress, stopping.

use std::time::Duration;

use tests::site::{Site, program};
use tokio::net::UnixDatagram;
use tokio::process::Command;

#[tokio::test]
async fn systemd_hears_ready_alive_and_stopping() {
    let site = Site::new("");
    let path = site.file("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut station = Command::new(program("gridwarden"))
        .args(["run", "-c"])
        .arg(site.file("station.toml"))
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "2000000")
        .stderr(std::fs::File::create(site.file("log")).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let hear = || async {
        let mut buffer = [0; 256];
        let heard = tokio::time::timeout(Duration::from_secs(20), socket.recv(&mut buffer));
        let length = heard.await.expect("a word within 20 s").unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    assert_eq!(hear().await, "READY=1");
    for _ in 0..3 {
        assert_eq!(hear().await, "WATCHDOG=1");
    }
    let pid = station.id().unwrap().to_string();
    assert!(Command::new("kill").arg(&pid).status().await.unwrap().success());
    loop {
        match hear().await.as_str() {
            "WATCHDOG=1" => (),
            other => {
                assert_eq!(other, "STOPPING=1");
                break;
            }
        }
    }
    assert!(station.wait().await.unwrap().success());
}
