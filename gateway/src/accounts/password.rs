//! Passwords: argon2id, one at a time on a thread that may block, and few waiting, so that a flood of log-ins costs one core at most.
//!
//! Parameters: OWASP Password Storage Cheat Sheet, "Argon2id", second configuration: 19 MiB, 2 passes, 1 lane. A stored hash carries its own, so they can be raised here.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::{Hidden, base32, random};

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Whoever comes when so many wait is sent away.
const WAITING_MAX: usize = 16;
pub const CHARACTERS_MIN: usize = 10;
const CHARACTERS_MAX: usize = 128;
/// So that an unknown name takes as long as a known one: the hash of a random number that nobody kept.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LWlzLWhlcmU$2XBu5L1gFCgYF4G5K0X1Lb0lCkuvYrBvN6JwYQpsnhc";

/// Takes turns.
pub struct Passwords {
    waiting: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

/// Too many wait.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy;

impl Default for Passwords {
    fn default() -> Self {
        Self { waiting: Arc::new(Semaphore::new(WAITING_MAX)), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Passwords {
    /// Whether it is the password; takes the same time when there is none.
    pub async fn verify(&self, given: String, known: Option<Hidden>) -> Result<bool, Busy> {
        self.run(move || {
            let right = is(&given, known.as_ref().map_or(NOBODY, |hidden| &hidden.0));
            right && known.is_some()
        })
        .await
    }

    pub async fn hash(&self, password: String) -> Result<Hidden, Busy> {
        self.run(move || hash(&password)).await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let place = self.waiting.clone().try_acquire_owned().map_err(|_| Busy)?;
        let turn = self.turn.clone().acquire_owned().await.map_err(|_| Busy)?;
        // The places go with the work: it runs on even when the caller has gone.
        let work = spawn_blocking(move || {
            let _places = (place, turn);
            work()
        });
        work.await.map_err(|_| Busy)
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("they are within the limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Slow on purpose: on a thread that may block.
pub fn hash(password: &str) -> Hidden {
    let hash = argon2().hash_password_with_salt(password.as_bytes(), &random::<16>());
    Hidden(hash.expect("salt and length are within the limits").to_string())
}

fn is(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    argon2().verify_password(password.as_bytes(), &hash).is_ok()
}

/// To be said or printed once, and changed at once: 80 random bits.
pub fn one_time() -> String {
    let text = base32::encode(&random::<10>());
    let groups: Vec<_> = text.as_bytes().chunks(4).map(|four| String::from_utf8_lossy(four)).collect();
    groups.join("-")
}

/// What is wrong with a password that somebody wants.
pub fn check(password: &str, account: &str) -> Result<(), String> {
    let characters = password.chars().count();
    if !(CHARACTERS_MIN..=CHARACTERS_MAX).contains(&characters) {
        return Err(format!("give {CHARACTERS_MIN} to {CHARACTERS_MAX} characters"));
    }
    let (lower, name) = (password.to_lowercase(), account.to_lowercase());
    if lower.contains(&name) {
        return Err("it must not contain the account's name".into());
    }
    let mut kinds: Vec<_> = lower.chars().collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() < 5 {
        return Err("use more than a few different characters".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_nobody_has_none() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse battery".into()).await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert_eq!(format!("{hash:?}"), "***");
        assert_eq!(passwords.verify("correct horse battery".into(), Some(hash.clone())).await, Ok(true));
        assert_eq!(passwords.verify("correct horse".into(), Some(hash)).await, Ok(false));
        assert_eq!(passwords.verify("correct horse battery".into(), None).await, Ok(false));
        assert!(PasswordHash::new(NOBODY).is_ok(), "or an unknown name would be answered sooner");
    }

    #[tokio::test]
    async fn a_flood_is_sent_away_before_it_works() {
        let passwords = Passwords::default();
        let _turn = passwords.turn.clone().acquire_owned().await.unwrap();
        let flood = (0..WAITING_MAX).map(|_| passwords.run(|| ()));
        let mut flood: Vec<_> = flood.map(Box::pin).collect();
        for one in &mut flood {
            assert!(futures::poll!(one).is_pending());
        }
        assert_eq!(passwords.run(|| ()).await, Err(Busy));
        drop(flood);
        let mut next = Box::pin(passwords.run(|| ()));
        assert!(futures::poll!(&mut next).is_pending(), "it may wait again");
    }

    #[test]
    fn what_a_password_must_have() {
        assert_eq!(check("今天天气很好我们去散步", "wang"), Ok(()));
        assert_eq!(check(&one_time(), "wang"), Ok(()));
        for bad in ["short", "my-name-is-Wang-Li", "aaaaaaaaaaaa", &"x1y2z3".repeat(30)] {
            assert!(check(bad, "wang").is_err(), "{bad}");
        }
    }
}
