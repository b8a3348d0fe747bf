//! A stand-in for a camera: asks for Digest authentication as RFC 7616 says, or knows only Basic, and answers its calls with streams as told, one call after the other.
//!
//! `Camera::says` adds to the streams that are open.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::digest::Gate;

pub const USER: &str = "events";
pub const PASSWORD: &str = "a-camera-for-tests-only";
const GATE: Gate = Gate { realm: "IP Camera(C1234)", user: USER, password: PASSWORD };

/// What a call to the event stream gets, when its password is right.
#[derive(Clone, Debug)]
pub enum Play {
    /// An open stream that begins with this.
    Stream(Vec<u8>),
    /// This, and the connection is cut.
    Cut(Vec<u8>),
    /// This, and then the same over and over.
    Endless(Vec<u8>, Vec<u8>),
    /// No head of an answer at all.
    Silence,
}

#[derive(Default)]
struct Seen {
    /// Calls without an answer to the challenge, with a wrong one, and with the right one.
    bare: u32,
    wrong: u32,
    right: u32,
    /// The counts `nc` of those that were right, with their nonce.
    counts: Vec<(String, String)>,
    pictures: u32,
}

pub struct Camera {
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
    said: broadcast::Sender<Vec<u8>>,
    _task: AbortOnDropHandle<()>,
}

struct Shared {
    seen: Arc<Mutex<Seen>>,
    plays: Mutex<VecDeque<Play>>,
    said: broadcast::Sender<Vec<u8>>,
    picture: Vec<u8>,
    /// The nonce in force; another one after so many uses.
    nonce: Mutex<(u32, u32)>,
    uses: u32,
    by_basic: bool,
}

impl Camera {
    /// The last of `plays` is played to every further call. After `uses` of a nonce another is wanted, without a word of `stale`, as by cameras.
    pub async fn start(plays: Vec<Play>, picture: Vec<u8>, uses: u32) -> Self {
        Self::start_with(plays, picture, uses, false).await
    }

    /// One that knows nothing but Basic.
    pub async fn start_basic(plays: Vec<Play>, picture: Vec<u8>) -> Self {
        Self::start_with(plays, picture, u32::MAX, true).await
    }

    async fn start_with(plays: Vec<Play>, picture: Vec<u8>, uses: u32, by_basic: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        let (said, _) = broadcast::channel(64);
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let shared = Arc::new(Shared {
            seen: seen.clone(),
            plays: Mutex::new(plays.into()),
            said: said.clone(),
            picture,
            nonce: Mutex::default(),
            uses,
            by_basic,
        });
        #[expect(clippy::disallowed_methods, reason = "aborted with the camera")]
        let task = tokio::spawn(async move {
            let mut calls = JoinSet::new();
            while let Ok((call, _)) = listener.accept().await {
                let shared = shared.clone();
                calls.spawn(async move { answer(call, &shared).await });
            }
        });
        Self { port, seen, said, _task: AbortOnDropHandle::new(task) }
    }

    /// To everybody who listens; how many that are.
    pub fn says(&self, bytes: &[u8]) -> usize {
        self.said.send(bytes.to_vec()).unwrap_or(0)
    }

    fn seen<T>(&self, look: impl Fn(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Calls without an answer to the challenge, with a wrong one, and with the right one.
    pub fn calls(&self) -> (u32, u32, u32) {
        self.seen(|seen| (seen.bare, seen.wrong, seen.right))
    }

    pub fn pictures(&self) -> u32 {
        self.seen(|seen| seen.pictures)
    }

    /// Nonce and `nc` of each call that was right, in order.
    pub fn counts(&self) -> Vec<(String, String)> {
        self.seen(|seen| seen.counts.clone())
    }
}

async fn answer(mut call: TcpStream, shared: &Shared) -> Option<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(call.read_u8().await.ok()?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let target = head.split(' ').nth(1)?.to_owned();
        let authorization = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
        });
        let nonce = {
            let mut nonce = shared.nonce.lock().unwrap_or_else(PoisonError::into_inner);
            if shared.uses <= nonce.1 {
                *nonce = (nonce.0 + 1, 0);
            }
            format!("nonce-{}", nonce.0)
        };
        let right = authorization.as_deref().and_then(|header| match shared.by_basic {
            true => GATE.admits(header).then(|| "basic".to_owned()),
            false => GATE.count(header, "GET", &target, &nonce),
        });
        {
            let mut seen = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
            match (&authorization, &right) {
                (None, _) => seen.bare += 1,
                (Some(_), None) => seen.wrong += 1,
                (Some(_), Some(count)) => {
                    seen.right += 1;
                    seen.counts.push((nonce.clone(), count.clone()));
                }
            }
        }
        if right.is_none() {
            let challenge = format!(
                "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {}\r\nContent-Length: 0\r\n\r\n",
                if shared.by_basic { GATE.basic_challenge() } else { GATE.challenge(&nonce) }
            );
            call.write_all(challenge.as_bytes()).await.ok()?;
            continue;
        }
        shared.nonce.lock().unwrap_or_else(PoisonError::into_inner).1 += 1;
        if target.contains("picture") || target.contains("snapshot") {
            shared.seen.lock().unwrap_or_else(PoisonError::into_inner).pictures += 1;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
                shared.picture.len()
            );
            call.write_all(head.as_bytes()).await.ok()?;
            call.write_all(&shared.picture).await.ok()?;
            continue;
        }
        return play(call, shared).await;
    }
}

async fn play(mut call: TcpStream, shared: &Shared) -> Option<()> {
    let play = {
        let mut plays = shared.plays.lock().unwrap_or_else(PoisonError::into_inner);
        if plays.len() == 1 { plays.front().cloned() } else { plays.pop_front() }
    };
    let mut said = shared.said.subscribe();
    const HEAD: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary=boundary\r\nConnection: close\r\n\r\n";
    match play? {
        Play::Stream(bytes) => {
            call.write_all(HEAD).await.ok()?;
            call.write_all(&bytes).await.ok()?;
            while let Ok(bytes) = said.recv().await {
                call.write_all(&bytes).await.ok()?;
            }
        }
        Play::Cut(bytes) => {
            call.write_all(HEAD).await.ok()?;
            call.write_all(&bytes).await.ok()?;
            call.shutdown().await.ok()?;
        }
        Play::Endless(begin, more) => {
            call.write_all(HEAD).await.ok()?;
            call.write_all(&begin).await.ok()?;
            loop {
                call.write_all(&more).await.ok()?; // Ends when the caller hangs up.
            }
        }
        Play::Silence => {
            let _ = call.read_u8().await; // Until the caller hangs up.
        }
    }
    Some(())
}
