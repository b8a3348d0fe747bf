//! Who may connect, and which topics each user may publish and subscribe to.
//!
//! Without any user everything is open, but to this machine only. A client certificate's common name is the user; else user name and
//! password, compared in constant time as SHA-256 so that neither length nor content shows in the time taken.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::answer::Denial;
use super::packet::is_filter;
use crate::config;
use crate::decode::filter_matches;

pub struct Access {
    users: BTreeMap<String, User>,
}

struct User {
    name: Arc<str>,
    password: Option<[u8; 32]>,
    publish: Filters,
    subscribe: Filters,
}

/// Shared by all connections of a user, unless a filter holds `%c`.
type Filters = Arc<[String]>;

/// What one connection may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub user: Arc<str>,
    publish: Filters,
    subscribe: Filters,
}

/// What a client shows of itself.
#[derive(Clone, Copy, Debug)]
pub struct Papers<'a> {
    pub peer: IpAddr,
    /// Common name of its verified certificate.
    pub certificate: Option<&'a str>,
    pub user: Option<&'a str>,
    pub password: Option<&'a str>,
    pub client_id: &'a str,
}

impl Access {
    /// Reads the passwords. `folder` is where station.toml stands.
    pub fn from_config(config: &config::Listener, folder: &Path) -> anyhow::Result<Self> {
        let certificates = config.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        let mut users = BTreeMap::new();
        for user in &config.users {
            let name = user.name.get_ref();
            let password = match &user.password {
                Some(secret) => {
                    let text = secret
                        .read(folder)
                        .with_context(|| format!("the password of the listener's user `{name}`"))?;
                    Some(digest(&text))
                }
                None if certificates => None,
                None => bail!(
                    "the listener's user `{name}` can never log in: give it a `password`, or a `tls.client_ca` to the listener"
                ),
            };
            let filters = |filters: &[serde_spanned::Spanned<String>]| -> anyhow::Result<Filters> {
                let wrong = filters.iter().find(|filter| !is_filter(filter.get_ref()));
                match wrong {
                    Some(wrong) => bail!(
                        "`{}` of the listener's user `{name}` is no topic filter: `+` and `#` stand alone between slashes, `#` last",
                        wrong.get_ref()
                    ),
                    None => Ok(filters.iter().map(|filter| filter.get_ref().clone()).collect()),
                }
            };
            let (publish, subscribe) = (filters(&user.publish)?, filters(&user.subscribe)?);
            let known = User { name: Arc::from(name.as_str()), password, publish, subscribe };
            if users.insert(name.clone(), known).is_some() {
                bail!("the listener has two users `{name}`; names must differ");
            }
        }
        Ok(Self { users })
    }

    pub fn admit(&self, papers: Papers<'_>) -> Result<Grant, Denial> {
        if self.users.is_empty() {
            return match papers.peer.to_canonical().is_loopback() {
                true => Ok(Grant::everything()),
                false => Err(Denial::NotAllowed),
            };
        }
        match (papers.certificate, papers.user, papers.password) {
            (Some(name), _, _) => {
                let user = self.users.get(name).ok_or(Denial::NotAllowed)?;
                Ok(user.grant(papers.client_id))
            }
            (None, Some(name), Some(password)) => {
                let given = digest(password);
                let known = self.users.get(name);
                let expected = known.and_then(|user| user.password);
                // An unknown name costs as much time as a wrong password.
                let same = expected.unwrap_or([0; 32]).ct_eq(&given);
                match known {
                    Some(user) if expected.is_some() && bool::from(same) => Ok(user.grant(papers.client_id)),
                    Some(_) | None => Err(Denial::BadLogin),
                }
            }
            (None, _, _) => Err(Denial::NotAllowed),
        }
    }
}

impl User {
    fn grant(&self, client_id: &str) -> Grant {
        let fill = |filters: &Filters| -> Filters {
            if filters.iter().all(|filter| !filter.contains('%')) {
                return filters.clone();
            }
            filters.iter().filter_map(|filter| filled(filter, &self.name, client_id)).collect()
        };
        Grant { user: self.name.clone(), publish: fill(&self.publish), subscribe: fill(&self.subscribe) }
    }
}

impl Grant {
    fn everything() -> Self {
        let all: Filters = Arc::from(["#".to_owned()]);
        Self { user: Arc::from(""), publish: all.clone(), subscribe: all }
    }

    pub fn may_publish(&self, topic: &str) -> bool {
        self.publish.iter().any(|filter| filter_matches(filter, topic))
    }

    /// Whether one of the user's filters reaches at least as far as `filter`.
    pub fn may_subscribe(&self, filter: &str) -> bool {
        self.subscribe.iter().any(|allowed| covers(allowed, filter))
    }
}

/// `%u` and `%c` filled in. A name with a slash or a wildcard would reach further than meant, so such a filter is left out.
fn filled(filter: &str, user: &str, client_id: &str) -> Option<String> {
    let plain = |text: &str| !text.is_empty() && !text.contains(['/', '+', '#', '%']);
    let safe = |mark: &str, text: &str| !filter.contains(mark) || plain(text);
    (safe("%u", user) && safe("%c", client_id)).then(|| filter.replace("%u", user).replace("%c", client_id))
}

/// Whether every topic that `asked` matches is matched by `allowed` too.
fn covers(allowed: &str, asked: &str) -> bool {
    if asked.starts_with('$') && !allowed.starts_with('$') {
        return false;
    }
    let (mut allowed, mut asked) = (allowed.split('/'), asked.split('/'));
    loop {
        match (allowed.next(), asked.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some(_), Some("#")) => return false,
            (Some("+"), Some(_)) => (),
            (Some(one), Some(other)) if one == other => (),
            (Some(_), Some(_) | None) | (None, Some(_)) => return false,
        }
    }
}

fn digest(password: &str) -> [u8; 32] {
    Sha256::digest(password.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, password: Option<&str>, publish: &[&str], subscribe: &[&str]) -> (String, User) {
        let filters = |filters: &[&str]| filters.iter().map(|&filter| filter.to_owned()).collect();
        let known = User {
            name: Arc::from(name),
            password: password.map(digest),
            publish: filters(publish),
            subscribe: filters(subscribe),
        };
        (name.to_owned(), known)
    }

    fn papers<'a>(
        certificate: Option<&'a str>,
        user: Option<&'a str>,
        password: Option<&'a str>,
    ) -> Papers<'a> {
        Papers { peer: "192.0.2.7".parse().unwrap(), certificate, user, password, client_id: "c1" }
    }

    #[test]
    fn without_users_only_this_machine_is_let_in() {
        let access = Access { users: BTreeMap::new() };
        for (peer, admitted) in [
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("192.0.2.7", false),
            ("::ffff:192.0.2.7", false),
        ] {
            let papers = Papers { peer: peer.parse().unwrap(), ..papers(None, None, None) };
            assert_eq!(access.admit(papers).is_ok(), admitted, "{peer}");
        }
    }

    #[test]
    fn a_certificate_or_the_right_password_names_the_user() {
        let access = Access {
            users: BTreeMap::from([
                user("meter", Some("secret"), &["m/#"], &[]),
                user("cam", None, &["c/#"], &[]),
            ]),
        };
        for (certificate, name, password, answer) in [
            (None, Some("meter"), Some("secret"), Ok("meter")),
            (None, Some("meter"), Some("Secret"), Err(Denial::BadLogin)),
            (None, Some("meter"), Some(""), Err(Denial::BadLogin)),
            (None, Some("nobody"), Some("secret"), Err(Denial::BadLogin)),
            (None, Some("cam"), Some(""), Err(Denial::BadLogin)),
            (None, Some("cam"), None, Err(Denial::NotAllowed)),
            (None, None, None, Err(Denial::NotAllowed)),
            (Some("cam"), None, None, Ok("cam")),
            (Some("cam"), Some("meter"), Some("secret"), Ok("cam")),
            (Some("stranger"), Some("meter"), Some("secret"), Err(Denial::NotAllowed)),
        ] {
            let admitted = access.admit(papers(certificate, name, password));
            assert_eq!(
                admitted.as_ref().map(|grant| &*grant.user).map_err(|denial| *denial),
                answer,
                "{certificate:?} {name:?} {password:?}"
            );
        }
    }

    #[test]
    fn marks_are_filled_in_but_never_widened() {
        for (filter, user, client, expected) in [
            ("u/%u/c/%c", "u1", "c1", Some("u/u1/c/c1")),
            ("plain/#", "a/b", "+", Some("plain/#")),
            ("u/%u", "u1", "#", Some("u/u1")),
            ("c/%c/up", "u1", "+", None),
            ("c/%c/up", "u1", "a/b", None),
            ("c/%c/up", "u1", "", None),
            ("%u/%c", "u1", "%u", None),
        ] {
            assert_eq!(filled(filter, user, client).as_deref(), expected, "{filter} {user} {client}");
        }
    }

    #[test]
    fn a_subscription_must_lie_within_what_is_allowed() {
        for (allowed, asked, covered) in [
            ("a/#", "a/#", true),
            ("a/#", "a", true),
            ("a/#", "a/+/c", true),
            ("a/#", "#", false),
            ("a/+", "a/b", true),
            ("a/+", "a/+", true),
            ("a/+", "a/#", false),
            ("a/b", "a/+", false),
            ("a/b", "a/b/c", false),
            ("a/b/c", "a/b", false),
            ("#", "a/b", true),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("+/x", "+/x", true),
        ] {
            assert_eq!(covers(allowed, asked), covered, "{allowed} for {asked}");
        }
    }

    proptest::proptest! {
        /// What is covered by the filter is matched by it, topic by topic.
        #[test]
        fn covering_agrees_with_matching(
            allowed in "(a|b|\\+)(/(a|b|\\+)){0,2}(/#)?",
            asked in "(a|b|\\+)(/(a|b|\\+)){0,2}(/#)?",
            topic in "(a|b|c)(/(a|b|c)){0,4}",
        ) {
            if covers(&allowed, &asked) && filter_matches(&asked, &topic) {
                proptest::prop_assert!(filter_matches(&allowed, &topic));
            }
        }
    }
}
