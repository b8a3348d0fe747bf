//! Browsers that people have subscribed for Web Push.

use rusqlite::params;

use super::{Store, StoreError};
use crate::units::Timestamp;

/// A person has a few browsers; older ones than these give way.
const EACH_MAX: u32 = 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub endpoint: String,
    /// Id of the person whose browser it is.
    pub person: String,
    /// The browser's public key, an uncompressed point of P-256.
    pub p256dh: Vec<u8>,
    pub auth: Vec<u8>,
}

impl Store {
    pub async fn subscriptions(&self, person: &str) -> Result<Vec<Subscription>, StoreError> {
        let person = person.to_owned();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT endpoint, person, p256dh, auth FROM push_subscriptions WHERE person = ?1 ORDER BY id",
            )?;
            let found = statement.query_map([&person], |row| {
                Ok(Subscription {
                    endpoint: row.get(0)?,
                    person: row.get(1)?,
                    p256dh: row.get(2)?,
                    auth: row.get(3)?,
                })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// A browser belongs to whoever subscribed it last.
    pub async fn subscribe(&self, subscription: Subscription, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |writing| {
            let Subscription { endpoint, person, p256dh, auth } = subscription;
            let connection = writing.connection;
            connection
                .prepare_cached("DELETE FROM push_subscriptions WHERE endpoint = ?1")?
                .execute([&endpoint])?;
            connection
                .prepare_cached(
                    "INSERT INTO push_subscriptions (endpoint, person, p256dh, auth, at) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![endpoint, person, p256dh, auth, at.0])?;
            connection
                .prepare_cached(
                    "DELETE FROM push_subscriptions WHERE person = ?1 AND id NOT IN
                     (SELECT id FROM push_subscriptions WHERE person = ?1 ORDER BY id DESC LIMIT ?2)",
                )?
                .execute(params![person, EACH_MAX])?;
            Ok(())
        })
        .await
    }

    /// `false`: it was not there.
    pub async fn unsubscribe(&self, endpoint: &str) -> Result<bool, StoreError> {
        let endpoint = endpoint.to_owned();
        self.write(move |writing| {
            let gone = writing
                .connection
                .prepare_cached("DELETE FROM push_subscriptions WHERE endpoint = ?1")?
                .execute([&endpoint])?;
            Ok(0 < gone)
        })
        .await
    }
}
