//! What residents say of a closed alarm, once, by a link that only they have. The secret of a link is not kept, only its hash.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Audit, Store, StoreError, audit, int, unint};
use crate::model::AlarmId;
use crate::units::Timestamp;

/// A link by which a resident may say once how it was.
#[derive(Clone, Debug, PartialEq)]
pub struct RatingLink {
    pub alarm: AlarmId,
    pub ends: Timestamp,
    /// It has been used.
    pub given: bool,
}

/// What became of a try to rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rated {
    Taken,
    /// No such link, or it has ended.
    Unknown,
    Already,
}

/// What a resident said.
#[derive(Clone, Debug, PartialEq)]
pub struct Rating {
    pub at: Timestamp,
    pub stars: u8,
    pub comment: Option<String>,
}

/// Links of one alarm that may wait at the same time; one more, and the oldest unused goes.
const LINKS_MAX: u32 = 5;

impl Store {
    /// `hash` is the SHA-256 of the link's secret.
    pub async fn add_rating_link(
        &self,
        link: RatingLink,
        hash: [u8; 32],
        line: Audit,
    ) -> Result<(), StoreError> {
        self.write(move |writing| {
            let connection = writing.connection;
            connection
                .prepare_cached("DELETE FROM ratings WHERE given IS NULL AND ends < ?1")?
                .execute([line.at.0])?;
            connection
                .prepare_cached("INSERT INTO ratings (hash, alarm, ends) VALUES (?1, ?2, ?3)")?
                .execute(params![&hash[..], int(link.alarm.0), link.ends.0])?;
            connection
                .prepare_cached(
                    "DELETE FROM ratings WHERE alarm = ?1 AND given IS NULL AND number NOT IN
                     (SELECT number FROM ratings WHERE alarm = ?1 AND given IS NULL ORDER BY number DESC LIMIT ?2)",
                )?
                .execute(params![int(link.alarm.0), LINKS_MAX])?;
            audit::add(connection, &line)
        })
        .await
    }

    pub async fn rating_link(&self, hash: [u8; 32]) -> Result<Option<RatingLink>, StoreError> {
        self.read(move |connection| Ok(link(connection, hash)?)).await
    }

    pub async fn rate(&self, hash: [u8; 32], rating: Rating) -> Result<Rated, StoreError> {
        self.write(move |writing| {
            let Some(link) = link(writing.connection, hash)?.filter(|link| rating.at < link.ends) else {
                return Ok(Rated::Unknown);
            };
            if link.given {
                return Ok(Rated::Already);
            }
            writing
                .connection
                .prepare_cached("UPDATE ratings SET given = ?2, stars = ?3, comment = ?4 WHERE hash = ?1")?
                .execute(params![&hash[..], rating.at.0, rating.stars, rating.comment])?;
            Ok(Rated::Taken)
        })
        .await
    }

    /// Oldest first.
    pub async fn ratings(&self, alarm: AlarmId) -> Result<Vec<Rating>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT given, stars, comment FROM ratings WHERE alarm = ?1 AND given IS NOT NULL ORDER BY given",
            )?;
            let rows = statement.query_map([int(alarm.0)], |row| {
                Ok(Rating {
                    at: Timestamp(row.get(0)?),
                    stars: row.get(1)?,
                    comment: row.get(2)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn link(connection: &Connection, hash: [u8; 32]) -> rusqlite::Result<Option<RatingLink>> {
    connection
        .prepare_cached("SELECT alarm, ends, given IS NOT NULL FROM ratings WHERE hash = ?1")?
        .query_row([&hash[..]], |row| {
            Ok(RatingLink {
                alarm: AlarmId(unint(row.get(0)?)),
                ends: Timestamp(row.get(1)?),
                given: row.get(2)?,
            })
        })
        .optional()
}
