//! Passwords, topic filters per user, TLS and client certificates.

use std::path::Path;
use std::process::Command;

use rumqttc::mqttbytes::{QoS, v4};
use rumqttc::v5::mqttbytes::v5;

use super::clients::{Raw, Talker, connack, connect5, mosquitto_pub};
use super::station::{QUICK, Station};

const USERS: &str = r##"
    user = [
        { name = "meter", password = { file = "meter" }, publish = ["m/%u/%c/#"], subscribe = ["m/%u/%c/cmd", "alarms/#"] },
        { name = "bridge", password = { file = "bridge" }, publish = ["zigbee2mqtt/#"] },
    ]
"##;

async fn station() -> (Station, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("meter"), "m-secret\n").unwrap();
    std::fs::write(folder.path().join("bridge"), "b-secret").unwrap();
    let station = Station::open_in(folder.path(), USERS, QUICK).await;
    (station, folder)
}

#[tokio::test]
async fn only_the_right_password_opens() {
    let (station, _folder) = station().await;
    use v4::ConnectReturnCode::{BadUserNamePassword, NotAuthorized, Success};
    for (login, code) in [
        (Some(("meter", "m-secret")), Success),
        (Some(("meter", "b-secret")), BadUserNamePassword),
        (Some(("meter", "m-secret\n")), BadUserNamePassword),
        (Some(("nobody", "m-secret")), BadUserNamePassword),
        (None, NotAuthorized),
    ] {
        let mut connect = v4::Connect::new("c");
        if let Some((user, password)) = login {
            connect.set_login(user, password);
        }
        let mut client = Raw::open(station.port).await;
        client.send(v4::Packet::Connect(connect)).await;
        assert_eq!(client.read().await, Some(connack(code)), "{login:?}");
    }
    let mut client = Raw::open(station.port).await;
    let login = Some(v5::Login::new("meter", "wrong"));
    client.send5(v5::Packet::Connect(connect5("c"), None, login)).await;
    let Some(v5::Packet::ConnAck(refusal)) = client.read5().await else { panic!("no CONNACK") };
    assert_eq!(refusal.code, v5::ConnectReturnCode::BadUserNamePassword);
    station.stop().await;
}

#[tokio::test]
async fn a_will_outside_the_users_topics_is_refused() {
    let (station, _folder) = station().await;
    let mut connect = v4::Connect::new("c");
    connect.set_login("meter", "m-secret");
    connect.last_will =
        Some(v4::LastWill::new("zigbee2mqtt/smoke/availability", "offline", QoS::AtLeastOnce, false));
    let mut client = Raw::open(station.port).await;
    client.send(v4::Packet::Connect(connect)).await;
    assert_eq!(client.read().await, Some(connack(v4::ConnectReturnCode::NotAuthorized)));
    assert_eq!(station.stop().await, []);
}

#[tokio::test]
async fn paho_is_held_to_the_users_topics() {
    let (station, _folder) = station().await;
    let meter = ["--id", "c1", "--user", "meter", "--password", "m-secret"];
    for (version, refused) in [(&["--v5"][..], "135"), (&[], "128")] {
        let (mut paho, _) = Talker::paho(station.port, &[&meter, version].concat()).await;
        for (filter, answer) in
            [("m/meter/c1/cmd", "1"), ("alarms/+", "1"), ("#", refused), ("m/meter/c2/cmd", refused)]
        {
            paho.say(&format!("subscribe {filter} 1")).await;
            assert_eq!(paho.line().await, format!("subscribed {answer}"), "{filter}");
        }
        paho.say("publish m/meter/c1/pressure 1 0 0.31").await;
        assert_eq!(paho.line().await, "published 0");
        paho.say("publish m/meter/c2/pressure 1 0 forged").await;
        match version.is_empty() {
            false => {
                assert_eq!(paho.line().await, "published 135", "v5 refuses the one message");
                paho.say("publish m/meter/c1/pressure 2 0 0.32").await;
                assert_eq!(paho.line().await, "published 0", "and goes on");
            }
            // 3.1.1 has no word for it: the connection is closed.
            true => assert!(paho.line().await.starts_with("disconnected")),
        }
        paho.kill().await;
    }
    let payloads: Vec<_> = station.stop().await.into_iter().map(|seen| seen.payload).collect();
    assert_eq!(payloads, ["0.31", "0.32", "0.31"], "nothing forged");
}

#[tokio::test]
async fn paho_is_told_of_a_wrong_password() {
    let (station, _folder) = station().await;
    let (_paho, words) =
        Talker::paho(station.port, &["--v5", "--id", "c", "--user", "meter", "--password", "guess"]).await;
    assert_eq!(words, "134 0");
    station.stop().await;
}

/// Runs openssl in `folder`.
fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    let output = output.expect("openssl is installed: apt-get install openssl");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A CA, a server certificate for localhost, and a client certificate by that CA for each name.
fn certificates(folder: &Path, clients: &[&str]) {
    let key = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(folder, &format!("{key} -x509 -days 2 -subj /CN=test-ca -keyout ca.key -out ca.pem"));
    std::fs::write(folder.join("server.ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
    openssl(folder, &format!("{key} -subj /CN=localhost -keyout server.key -out server.csr"));
    let sign = "x509 -req -days 2 -CA ca.pem -CAkey ca.key -CAcreateserial";
    openssl(folder, &format!("{sign} -in server.csr -extfile server.ext -out server.pem"));
    std::fs::write(folder.join("client.ext"), "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n")
        .unwrap();
    for name in clients {
        openssl(folder, &format!("{key} -subj /O=street/CN={name} -keyout {name}.key -out {name}.csr"));
        openssl(folder, &format!("{sign} -in {name}.csr -extfile client.ext -out {name}.pem"));
    }
}

#[tokio::test]
async fn a_client_certificate_is_the_user() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificates(folder.path(), &["meter-7", "stranger"]);
    certificates(other.path(), &["meter-7"]);
    let settings = r#"
        tls = { certificate = "server.pem", key = "server.key", client_ca = "ca.pem" }
        user = [{ name = "meter-7", publish = ["m/%u"] }]
    "#;
    let station = Station::open_in(folder.path(), settings, gateway::io::listener::Patience::default()).await;
    let path =
        |folder: &tempfile::TempDir, name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let ca = path(&folder, "ca.pem");
    for (who, version, credentials, welcome) in [
        ("its certificate", "mqttv311", Some((&folder, "meter-7")), true),
        ("its certificate", "mqttv5", Some((&folder, "meter-7")), true),
        ("a certificate that is no user", "mqttv311", Some((&folder, "stranger")), false),
        ("a certificate of another CA", "mqttv311", Some((&other, "meter-7")), false),
        ("no certificate", "mqttv311", None, false),
    ] {
        let files = credentials.map(|(folder, name)| {
            (path(folder, &format!("{name}.pem")), path(folder, &format!("{name}.key")))
        });
        let mut arguments = vec!["-V", version, "-q", "1", "-t", "m/meter-7", "-m", "x", "--cafile", &ca];
        if let Some((certificate, key)) = &files {
            arguments.extend(["--cert", certificate, "--key", key]);
        }
        let output = mosquitto_pub(station.port, &arguments).await;
        assert_eq!(output.status.success(), welcome, "{who}: {output:?}");
    }
    // Plain bytes on the TLS port.
    let mut plain = Raw::open(station.port).await;
    plain.send(v4::Packet::Connect(v4::Connect::new("c"))).await;
    plain.drain().await;
    assert_eq!(station.stop().await.len(), 2);
}

#[tokio::test]
async fn our_own_client_settings_fit_our_own_listener() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path(), &["meter-7"]);
    let server: gateway::config::ServerTls =
        toml::from_str("certificate = 'server.pem'\nkey = 'server.key'\nclient_ca = 'ca.pem'").unwrap();
    let client: gateway::config::ClientTls =
        toml::from_str("ca = 'ca.pem'\ncertificate = 'meter-7.pem'\nkey = 'meter-7.key'").unwrap();
    assert!(gateway::io::tls::server_config(&server, folder.path()).is_ok());
    let settings = gateway::io::tls::client_config(&client, folder.path()).unwrap();
    let station = Station::open_in(
        folder.path(),
        "tls = { certificate = 'server.pem', key = 'server.key', client_ca = 'ca.pem' }\nuser = [{ name = 'meter-7', publish = ['#'] }]",
        QUICK,
    )
    .await;
    let mut options = rumqttc::MqttOptions::new("c", "localhost", station.port);
    options.set_transport(rumqttc::Transport::Tls(rumqttc::TlsConfiguration::Rustls(settings)));
    let (client, mut events) = rumqttc::AsyncClient::new(options, 10);
    client.publish("t", QoS::AtLeastOnce, false, "over TLS").await.unwrap();
    loop {
        if let rumqttc::Event::Incoming(rumqttc::Packet::PubAck(_)) = events.poll().await.unwrap() {
            break;
        }
    }
    assert_eq!(station.payloads(), ["over TLS"]);
    // A key that belongs to another certificate is told apart from a missing one.
    std::fs::copy(folder.path().join("ca.key"), folder.path().join("server.key")).unwrap();
    let complaint = gateway::io::tls::server_config(&server, folder.path()).unwrap_err().to_string();
    assert!(complaint.contains("server.pem") && complaint.contains("server.key"), "{complaint}");
    station.stop().await;
}
