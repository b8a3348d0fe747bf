//! From an accepted socket to a connection with a seat: CONNECT in time, who it is, CONNACK.
//!
//! Everything a stranger can cost is bounded here: the time for CONNECT, its size, and a pause after a refusal.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};

use super::access::{Grant, Papers};
use super::answer::{self, Denial};
use super::hub::Seat;
use super::packet::{self, Fault, Refusal, Version};
use super::pipe::Pipe;
use super::{Shared, UNCOMMITTED_MAX};

/// The largest CONNECT; a will with a long message fits.
pub const CONNECT_BYTES_MAX: usize = 64 * 1024;

/// The longest client id; the standard asks for at least 23.
pub const CLIENT_ID_BYTES_MAX: usize = 256;

/// A client's first packet.
#[derive(Debug, PartialEq)]
pub struct Connect {
    pub version: Version,
    pub client_id: String,
    pub clean: bool,
    pub keep_alive_s: u16,
    pub will: Option<Will>,
    pub user: Option<String>,
    pub password: Option<String>,
    /// How many messages it takes unacknowledged.
    pub receive_max: u16,
    pub packet_max: Option<u32>,
    /// It wants a log-in by AUTH packets.
    pub other_authentication: bool,
}

/// The message to take as sent when the connection is lost.
#[derive(Debug, PartialEq)]
pub struct Will {
    pub topic: String,
    pub payload: Bytes,
}

/// What CONNACK tells a v5 client.
pub struct Welcome {
    pub receive_max: u16,
    pub packet_max: u32,
    pub assigned_id: Option<String>,
    /// Set when the client asked for none.
    pub keep_alive_s: Option<u16>,
}

/// A client that was let in.
pub struct Session {
    pub version: Version,
    pub client_id: String,
    pub grant: Grant,
    pub will: Option<Box<Will>>,
    pub seat: Seat,
    /// The longest time between two packets.
    pub patience: Duration,
    pub receive_max: u16,
    pub packet_max: Option<u32>,
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Packet(#[from] Refusal),
    #[error("refused: {0:?}")]
    Denied(Version, Denial),
    #[error("it closed the connection before CONNECT")]
    Left,
    #[error("the connection failed")]
    Io(#[from] std::io::Error),
}

/// `None` when the client is not let in; it has been told then, as far as its version has words for it.
pub async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    mut pipe: Pipe<S>,
    peer: IpAddr,
    certificate: Option<String>,
    deadline: Instant,
) -> Option<(Pipe<S>, Session)> {
    let connect = async {
        let connect = read_connect(shared, &mut pipe).await?;
        admit(shared, connect, peer, certificate.as_deref())
    };
    let refused = match timeout_at(deadline, connect).await {
        Ok(Ok((session, welcome))) => {
            answer::welcome(&mut pipe.out, session.version, &welcome);
            return Some((pipe, session));
        }
        Ok(Err(refused)) => refused,
        Err(_) => {
            metrics::counter!("gridwarden_listener_refused_total", "reason" => "no_connect").increment(1);
            tracing::debug!(%peer, "no MQTT CONNECT in time");
            return None;
        }
    };
    let reason = reason(&refused);
    metrics::counter!("gridwarden_listener_refused_total", "reason" => reason).increment(1);
    if shared.first_time(reason, &peer.to_string()) {
        tracing::warn!(%peer, "an MQTT client was not let in; said once per address: {refused}");
    }
    tokio::time::sleep(shared.patience.denial).await;
    match refused {
        Refused::Denied(version, denial) => answer::denial(&mut pipe.out, version, denial),
        Refused::Packet(Refusal::Level(_)) => answer::denial(&mut pipe.out, Version::V4, Denial::Level),
        Refused::Packet(Refusal::NotMqtt | Refusal::Fault(_)) | Refused::Left | Refused::Io(_) => {
            return None;
        }
    }
    let _ = timeout(shared.patience.last_words, pipe.close()).await; // It is refused whether it listens or not.
    None
}

async fn read_connect<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    pipe: &mut Pipe<S>,
) -> Result<Connect, Refused> {
    let max = CONNECT_BYTES_MAX.min(shared.packet_max);
    loop {
        if pipe.read.first().is_some_and(|first| first >> 4 != 1) {
            return Err(Refusal::NotMqtt.into());
        }
        match packet::frame_length(&pipe.read, max) {
            Ok(Some(length)) => return Ok(packet::connect(pipe.read.split_to(length))?),
            Ok(None) => (),
            Err(fault) => return Err(Refusal::from(fault).into()),
        }
        if pipe.turn(true).await?.ended {
            return Err(Refused::Left);
        }
    }
}

fn admit(
    shared: &Shared,
    connect: Connect,
    peer: IpAddr,
    certificate: Option<&str>,
) -> Result<(Session, Welcome), Refused> {
    let version = connect.version;
    let denied = |denial| Refused::Denied(version, denial);
    if connect.other_authentication {
        return Err(denied(Denial::OtherAuthentication));
    }
    let unnamed = connect.client_id.is_empty();
    if connect.client_id.len() > CLIENT_ID_BYTES_MAX || (unnamed && version == Version::V4 && !connect.clean)
    {
        return Err(denied(Denial::ClientId));
    }
    let client_id = match unnamed {
        true => format!("gridwarden-{:016x}", fastrand::u64(..)),
        false => connect.client_id,
    };
    let grant = shared
        .access
        .admit(Papers {
            peer,
            certificate,
            user: connect.user.as_deref(),
            password: connect.password.as_deref(),
            client_id: &client_id,
        })
        .map_err(denied)?;
    if connect.will.as_ref().is_some_and(|will| !grant.may_publish(&will.topic)) {
        return Err(denied(Denial::NotAllowed));
    }
    let seat = shared.hub.enter(&grant.user, &client_id).map_err(denied)?;
    let idle = u64::from(shared.idle_s_max.max(1));
    let patience = match connect.keep_alive_s {
        0 => Duration::from_secs(idle),
        seconds => Duration::from_millis(u64::from(seconds) * 1500),
    };
    let welcome = Welcome {
        receive_max: UNCOMMITTED_MAX as u16,
        packet_max: shared.packet_max as u32,
        assigned_id: unnamed.then(|| client_id.clone()),
        // Two thirds, as a client is cut off after 1.5 times its keep-alive.
        keep_alive_s: (connect.keep_alive_s == 0)
            .then(|| (idle * 2 / 3).clamp(1, u64::from(u16::MAX)) as u16),
    };
    let session = Session {
        version,
        client_id,
        grant,
        will: connect.will.map(compact),
        seat,
        patience,
        receive_max: connect.receive_max,
        packet_max: connect.packet_max,
    };
    Ok((session, welcome))
}

/// A copy of its own, because the will lives as long as the connection and would keep the whole first read alive.
fn compact(will: Will) -> Box<Will> {
    Box::new(Will { topic: will.topic, payload: Bytes::copy_from_slice(&will.payload) })
}

fn reason(refused: &Refused) -> &'static str {
    match refused {
        Refused::Packet(Refusal::NotMqtt) => "not_mqtt",
        Refused::Packet(Refusal::Level(_)) | Refused::Denied(_, Denial::Level) => "protocol_level",
        Refused::Packet(Refusal::Fault(Fault::TooLarge { .. })) => "too_large",
        Refused::Packet(Refusal::Fault(_)) => "malformed",
        Refused::Denied(_, Denial::ClientId) => "client_id",
        Refused::Denied(_, Denial::Full) => "full",
        Refused::Denied(_, Denial::Stopping) => "stopping",
        Refused::Denied(_, Denial::BadLogin) => "login",
        Refused::Denied(_, Denial::NotAllowed) => "not_allowed",
        Refused::Denied(_, Denial::OtherAuthentication) => "authentication",
        Refused::Left | Refused::Io(_) => "left",
    }
}
