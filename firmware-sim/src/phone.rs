//! A grid worker's phone, as far as the demo needs one: receives the station's webhook, checks the signature, shows the alert and the line
//! that answers it.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use clap::Args;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio_util::sync::CancellationToken;

#[derive(Args, Debug)]
pub struct PhoneArgs {
    /// Where the station's webhook sends to
    #[arg(long, default_value = "127.0.0.1:8090")]
    pub bind: SocketAddr,
    /// Environment variable with the webhook's secret
    #[arg(long)]
    pub secret_env: String,
    /// The station's API, for the line that acknowledges
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub station: String,
    /// File with the API token, named in the line that acknowledges; the token itself is not shown
    #[arg(long, value_name = "FILE")]
    pub token_file: String,
}

struct Phone {
    secret: String,
    station: String,
    token_file: String,
    /// Idempotency keys that were shown; the station sends again when it did not see the answer.
    shown: Mutex<HashSet<String>>,
}

pub async fn run(arguments: PhoneArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let secret = std::env::var(&arguments.secret_env)
        .with_context(|| format!("the environment variable {} is not set", arguments.secret_env))?;
    let listener = tokio::net::TcpListener::bind(arguments.bind)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.bind))?;
    let phone = Phone {
        secret,
        station: arguments.station,
        token_file: arguments.token_file,
        shown: Mutex::default(),
    };
    let router = Router::new().route("/alert", post(receive)).with_state(Arc::new(phone));
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await?;
    Ok(())
}

async fn receive(State(phone): State<Arc<Phone>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !signed(&phone.secret, header("gridwarden-timestamp"), header("gridwarden-signature"), &body) {
        println!("An alert with a wrong signature was refused.");
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(message) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST };
    let key = header("idempotency-key").to_owned();
    if phone.shown.lock().unwrap_or_else(PoisonError::into_inner).insert(key) {
        println!("{}", screen(&message, &phone.station, &phone.token_file));
    }
    StatusCode::OK
}

fn signed(secret: &str, timestamp: &str, signature: &str, body: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let wanted: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    signature == format!("v1={wanted}")
}

/// What the phone shows.
fn screen(message: &Value, station: &str, token_file: &str) -> String {
    let alarm = &message["alarm"];
    let text = |value: &Value| value.as_str().unwrap_or("–").to_owned();
    let path = alarm["cell"]["path"].as_array().map_or(String::new(), |names| {
        names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" › ")
    });
    let acknowledge = if alarm["state"] == "unacknowledged" {
        format!(
            "\n  │ 确认 acknowledge:\n  │   curl -X POST -H \"Authorization: Bearer $(cat {token_file})\" -H 'content-type: application/json' -d '{{}}' {station}/api/v1/alarms/{}/acknowledge",
            text(&alarm["id"])
        )
    } else {
        String::new()
    };
    format!(
        "\n  ┌ 📱 {} 的手机 phone of {}\n  │ {}  {}  {}\n  │ 网格 cell        {} ({})\n  │ 地点 place       {}\n  │ 责任人 answers   {}\n  │ 时间 raised      {}{acknowledge}\n  └",
        text(&message["alert"]["person"]["name"]),
        text(&message["alert"]["person"]["id"]),
        text(&alarm["class"]).to_uppercase(),
        text(&alarm["id"]),
        text(&alarm["text"]),
        path,
        text(&alarm["cell"]["code"]),
        text(&alarm["device"]["place"]),
        text(&alarm["owner"]["name"]),
        text(&alarm["raised"]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_time_and_body() {
        let signature = "v1=2a0b5d1a7a4a9f2f0d6b8b0ac1ee0ac1c0a1f4c8ad0f4a2e60a2e2f3d9a4d1b7";
        assert!(!signed("secret", "1", signature, b"{}"));
        let mut mac = Hmac::<Sha256>::new_from_slice(b"secret").expect("any length");
        mac.update(b"1.{}");
        let right: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(signed("secret", "1", &format!("v1={right}"), b"{}"));
        assert!(!signed("secret", "2", &format!("v1={right}"), b"{}"), "another time");
    }
}
