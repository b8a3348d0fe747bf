//! Digest authentication (RFC 7616, and RFC 2617 for what is older), as cameras ask for it; and Basic (RFC 7617), where station.toml allows it and the camera offers no Digest.
//!
//! Pure: the random number comes in as an argument. The strongest algorithm that is offered is used; a nonce is used again, counted, until the camera wants another. Basic is never fallen back to by itself: it
//! shows the password to everybody on the line. A fresh nonce that is not accepted means a wrong password, which the caller must not try again soon, because cameras lock the account.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::config::CameraLogin;
use crate::decode::bytes::hex;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(text)),
            Self::Sha256 => hex(&Sha256::digest(text)),
        }
    }
}

/// What a camera asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The algorithm's name as it was written; old cameras write none.
    written: Option<String>,
    /// `-sess`
    session: bool,
    qop: bool,
    stale: bool,
}

/// What to do after 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Ask again: there is an answer to it now.
    Answer,
    WrongPassword,
    /// The camera offers Basic alone, which is not allowed here.
    OnlyBasic,
    /// The camera offers nothing that is known here.
    NoDigest,
}

/// How the user is shown at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    Digest(Challenge),
    Basic,
}

/// One user at one camera.
#[derive(Clone)]
pub struct Session {
    user: String,
    password: String,
    login: CameraLogin,
    way: Option<Way>,
    /// How often the nonce was used.
    count: u32,
}

impl Session {
    pub fn new(user: String, password: String, login: CameraLogin) -> Self {
        Self { user, password, login, way: None, count: 0 }
    }

    /// The header `Authorization`; `None` before the first challenge. `cnonce` is new each time.
    pub fn authorization(&mut self, method: &str, uri: &str, cnonce: &str) -> Option<String> {
        let challenge = match self.way.as_ref()? {
            Way::Digest(challenge) => challenge,
            Way::Basic => {
                return Some(format!(
                    "Basic {}",
                    STANDARD.encode(format!("{}:{}", self.user, self.password))
                ));
            }
        };
        self.count += 1;
        let Challenge { realm, nonce, algorithm, .. } = challenge;
        let hash = |text: &str| algorithm.hash(text);
        let mut who = hash(&format!("{}:{realm}:{}", self.user, self.password));
        if challenge.session {
            who = hash(&format!("{who}:{nonce}:{cnonce}"));
        }
        let what = hash(&format!("{method}:{uri}"));
        let count = format!("{:08x}", self.count);
        let response = if challenge.qop {
            hash(&format!("{who}:{nonce}:{count}:{cnonce}:auth:{what}"))
        } else {
            hash(&format!("{who}:{nonce}:{what}"))
        };
        let mut header = format!(
            "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\"",
            self.user
        );
        if let Some(written) = &challenge.written {
            header += &format!(", algorithm={written}");
        }
        if challenge.qop {
            header += &format!(", qop=auth, nc={count}, cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = &challenge.opaque {
            header += &format!(", opaque=\"{opaque}\"");
        }
        Some(header)
    }

    /// The camera said 401 with these headers `WWW-Authenticate`.
    pub fn challenged<'a>(&mut self, headers: impl Iterator<Item = &'a str>) -> Verdict {
        let mut offers_basic = false;
        let schemes = headers.flat_map(schemes).inspect(|(scheme, _)| {
            offers_basic |= scheme.eq_ignore_ascii_case("basic");
        });
        let digests = schemes.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("digest"));
        let new =
            digests.filter_map(|(_, fields)| challenge(&fields)).max_by_key(|challenge| challenge.algorithm);
        let Some(new) = new else { return self.without_digest(offers_basic) };
        // Some cameras do not say `stale` when a nonce is too old, so only a fresh one tells.
        let was_fresh = self.count == 1 && !new.stale;
        self.count = 0;
        // After a wrong one the next try, much later, begins with a new nonce.
        self.way = (!was_fresh).then_some(Way::Digest(new));
        if was_fresh { Verdict::WrongPassword } else { Verdict::Answer }
    }

    fn without_digest(&mut self, offers_basic: bool) -> Verdict {
        let was_shown = self.way.take() == Some(Way::Basic);
        match (offers_basic, self.login) {
            (true, CameraLogin::Basic) if was_shown => Verdict::WrongPassword,
            (true, CameraLogin::Basic) => {
                self.way = Some(Way::Basic);
                Verdict::Answer
            }
            (true, CameraLogin::Digest) => Verdict::OnlyBasic,
            (false, CameraLogin::Basic | CameraLogin::Digest) => Verdict::NoDigest,
        }
    }
}

/// All of one header, which may hold several with commas between, as between their fields.
fn schemes(header: &str) -> Vec<(&str, Vec<(String, String)>)> {
    let mut schemes: Vec<(&str, Vec<(String, String)>)> = Vec::new();
    for piece in pieces(header) {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let name = match name.trim().split_once(char::is_whitespace) {
            Some((scheme, name)) => {
                schemes.push((scheme, Vec::new()));
                name.trim()
            }
            None if value.is_empty() && !piece.contains('=') => {
                schemes.push((name.trim(), Vec::new()));
                continue;
            }
            None => name.trim(),
        };
        let value = value.trim();
        let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        if let Some((_, fields)) = schemes.last_mut() {
            fields.push((name.to_ascii_lowercase(), bare.to_owned()));
        }
    }
    schemes
}

fn challenge(fields: &[(String, String)]) -> Option<Challenge> {
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let written = field("algorithm");
    let plain = written.as_deref().unwrap_or("MD5").to_ascii_uppercase();
    let (plain, session) = plain.strip_suffix("-SESS").map_or((plain.as_str(), false), |plain| (plain, true));
    let algorithm = match plain {
        "MD5" => Algorithm::Md5,
        "SHA-256" => Algorithm::Sha256,
        _ => return None,
    };
    let qop = match field("qop") {
        None => false,
        Some(offered) if offered.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")) => true,
        Some(_) => return None, // auth-int alone, which no camera is known to want.
    };
    let stale = field("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
    let (realm, nonce) = (field("realm")?, field("nonce")?);
    Some(Challenge { realm, nonce, opaque: field("opaque"), algorithm, written, session, qop, stale })
}

/// At commas outside of quotes.
fn pieces(header: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    header.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URI: &str = "/dir/index.html";

    fn answered(headers: &[&str], password: &str, cnonce: &str) -> String {
        let mut session = Session::new("Mufasa".into(), password.into(), CameraLogin::Digest);
        assert_eq!(session.authorization("GET", URI, cnonce), None, "nothing was asked");
        assert_eq!(session.challenged(headers.iter().copied()), Verdict::Answer);
        session.authorization("GET", URI, cnonce).unwrap()
    }

    /// The examples of RFC 7616, 3.9.1, and of RFC 2617, 3.5.
    #[test]
    fn the_answers_of_the_standards() {
        let common = "realm=\"http-auth@example.org\", qop=\"auth, auth-int\", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
        let (md5, sha) =
            (format!("Digest {common}, algorithm=MD5"), format!("Digest {common}, algorithm=SHA-256"));
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let weak = answered(&[&md5], "Circle of Life", cnonce);
        assert!(weak.contains("response=\"8ca523f5e9506fed4657c9700eebdbec\""), "{weak}");
        let strong = answered(&[&md5, &sha], "Circle of Life", cnonce);
        assert!(
            strong.contains("753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
            "{strong}"
        );
        assert!(strong.contains("nc=00000001") && strong.contains("opaque=\"FQhe/"), "{strong}");
        assert_eq!(
            answered(&[&format!("{md5}, Basic realm=\"x\", {sha}")], "Circle of Life", cnonce),
            strong,
            "in one header"
        );

        let old = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let answer = answered(&[old], "Circle Of Life", "0a4f113b");
        assert!(
            answer.contains("6629fae49393a05397450978507c4ef1") && !answer.contains("algorithm"),
            "{answer}"
        );
    }

    #[test]
    fn a_nonce_is_used_again_until_it_is_too_old_and_a_wrong_password_is_seen() {
        let challenge = |nonce: &str, stale: &str| {
            format!("Digest realm=\"IP Camera\", qop=\"auth\", nonce=\"{nonce}\"{stale}")
        };
        let mut session = Session::new("events".into(), "x".into(), CameraLogin::Digest);
        let mut said =
            |nonce: &str, stale: &str| session.challenged([challenge(nonce, stale).as_str()].into_iter());
        assert_eq!(said("a", ""), Verdict::Answer);
        let mut session = Session::new("events".into(), "x".into(), CameraLogin::Digest);
        session.challenged([challenge("a", "").as_str()].into_iter());
        for count in 1..=3 {
            let header = session.authorization("GET", URI, "c").unwrap();
            assert!(header.contains(&format!("nc={count:08x}")), "{header}");
        }
        assert_eq!(
            session.challenged([challenge("b", "").as_str()].into_iter()),
            Verdict::Answer,
            "it was used before"
        );
        session.authorization("GET", URI, "c");
        assert_eq!(
            session.challenged([challenge("c", ", stale=TRUE").as_str()].into_iter()),
            Verdict::Answer
        );
        session.authorization("GET", URI, "c");
        assert_eq!(session.challenged([challenge("d", "").as_str()].into_iter()), Verdict::WrongPassword);
        assert_eq!(session.challenged(["Basic realm=\"IP Camera\""].into_iter()), Verdict::OnlyBasic);
        assert_eq!(session.challenged(std::iter::empty()), Verdict::NoDigest);
    }

    /// The example of RFC 7617, 2.
    #[test]
    fn basic_is_for_who_is_allowed_it_and_only_without_digest() {
        const BASIC: &str = "Basic realm=\"WallyWorld\"";
        const DIGEST: &str = "Digest realm=\"WallyWorld\", nonce=\"a\"";
        let session = |login| Session::new("Aladdin".into(), "open sesame".into(), login);
        let header = |session: &mut Session| session.authorization("GET", URI, "c");
        let mut strict = session(CameraLogin::Digest);
        assert_eq!(strict.challenged([BASIC].into_iter()), Verdict::OnlyBasic);
        assert_eq!(header(&mut strict), None, "nothing is shown");

        let mut allowed = session(CameraLogin::Basic);
        assert_eq!(header(&mut allowed), None, "nothing was asked");
        assert_eq!(allowed.challenged([BASIC].into_iter()), Verdict::Answer);
        for _ in 0..2 {
            assert_eq!(header(&mut allowed).as_deref(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        }
        assert_eq!(allowed.challenged([BASIC].into_iter()), Verdict::WrongPassword);
        assert_eq!(header(&mut allowed), None, "nor again");
        for both in [&[BASIC, DIGEST][..], &[DIGEST, BASIC]] {
            let mut allowed = session(CameraLogin::Basic);
            assert_eq!(allowed.challenged(both.iter().copied()), Verdict::Answer);
            assert!(header(&mut allowed).is_some_and(|header| header.starts_with("Digest ")), "{both:?}");
        }
        assert_eq!(allowed.challenged(["Bearer"].into_iter()), Verdict::NoDigest);
    }

    proptest! {
        #[test]
        fn no_header_is_too_strange(header in ".{0,200}") {
            let mut session = Session::new("u".into(), "p".into(), CameraLogin::Basic);
            session.challenged([header.as_str(), "Digest", "Digest realm", "Digest =,,="].into_iter());
        }
    }
}
