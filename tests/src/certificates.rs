//! A certificate authority for one test, made by the `openssl` command.

use std::path::Path;

use tokio::process::Command;

async fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .await
        .expect("openssl is installed by `make setup-test`");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes `ca.pem`, `server.pem` and `server.key` (for localhost and 127.0.0.1), and `<name>.pem` and `<name>.key` for each client.
pub async fn make(folder: &Path, clients: &[&str]) {
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(folder, &format!("req -x509 {new} -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca")).await;
    std::fs::write(folder.join("server.ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        .expect("writable");
    std::fs::write(folder.join("client.ext"), "extendedKeyUsage=clientAuth\n").expect("writable");
    for (name, extension) in
        std::iter::once(("server", "server.ext")).chain(clients.iter().map(|name| (*name, "client.ext")))
    {
        openssl(folder, &format!("req {new} -keyout {name}.key -out {name}.csr -subj /CN={name}")).await;
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile {extension} -out {name}.pem"
            ),
        )
        .await;
    }
}
