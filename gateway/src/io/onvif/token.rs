//! The login of ONVIF devices that know no HTTP Digest: a UsernameToken with a PasswordDigest in every request (OASIS Web Services Security, UsernameToken Profile 1.1, clause 3).
//!
//! Pure: time and randomness come in as arguments. The device compares `Created` with its own clock and refuses what is minutes old, so that clock is asked for first, which needs no login
//! (ONVIF Core Specification, GetSystemDateAndTime). A token made by a fresh clock that is refused means a wrong password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::soap::text;
use crate::units::{Now, Timestamp};

const SECURITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const UTILITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const DIGEST: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest";
const BASE64: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";

/// One user at one device.
pub struct Login {
    user: String,
    password: String,
    tokens: Option<Tokens>,
}

/// The device wants tokens.
#[derive(Clone, Copy)]
struct Tokens {
    /// What its clock showed, and when that was.
    clock: (Timestamp, Now),
    /// One made by this clock was taken.
    taken: bool,
}

impl Login {
    pub fn new(user: String, password: String) -> Self {
        Self { user, password, tokens: None }
    }

    /// The header of a request; nothing before tokens are wanted. `nonce` is new each time.
    pub fn header(&self, now: Now, nonce: [u8; 16]) -> String {
        let Some(Tokens { clock: (shown, at), .. }) = self.tokens else { return String::new() };
        let created = seconds(shown + now.steady.since(at.steady));
        format!(
            "<w:Security xmlns:w=\"{SECURITY}\" xmlns:u=\"{UTILITY}\" s:mustUnderstand=\"1\"><w:UsernameToken><w:Username>{}</w:Username><w:Password Type=\"{DIGEST}\">{}</w:Password>\
             <w:Nonce EncodingType=\"{BASE64}\">{}</w:Nonce><u:Created>{created}</u:Created></w:UsernameToken></w:Security>",
            text(&self.user),
            digest(&nonce, &created, &self.password),
            STANDARD.encode(nonce)
        )
    }

    /// A request was refused for its login: whether to ask for the clock and try with a token, or the password is wrong.
    pub fn may_try(&self) -> bool {
        self.tokens.is_none_or(|tokens| tokens.taken)
    }

    /// Tokens from now on; the device's clock showed this.
    pub fn begin(&mut self, shown: Timestamp, now: Now) {
        self.tokens = Some(Tokens { clock: (shown, now), taken: false });
    }

    /// A request was answered.
    pub fn taken(&mut self) {
        if let Some(tokens) = &mut self.tokens {
            tokens.taken = true;
        }
    }

    /// After a wrong password the next try, much later, begins from nothing.
    pub fn forget(&mut self) {
        self.tokens = None;
    }
}

/// xs:dateTime in UTC; some devices read no fraction.
fn seconds(at: Timestamp) -> String {
    let text = at.rfc3339();
    text.split_once('.').map_or(text.clone(), |(whole, _)| format!("{whole}Z"))
}

fn digest(nonce: &[u8], created: &str, password: &str) -> String {
    let hash = Sha1::new().chain_update(nonce).chain_update(created).chain_update(password);
    STANDARD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Steady;

    /// The example of ONVIF's Application Programmer's Guide, 6.1.1.3.
    #[test]
    fn the_digest_of_the_guide() {
        let nonce = STANDARD.decode("LKqI6G/AikKCQrN0zqZFlg==").unwrap();
        assert_eq!(digest(&nonce, "2010-09-16T07:50:45Z", "userpassword"), "tuOSpGlFlIXsozq4HFNeeGeFLEI=");
    }

    fn now(seconds: u64) -> Now {
        Now { wall: Timestamp(1_795_402_800_000), steady: Steady(seconds * 1_000) }
    }

    #[test]
    fn tokens_go_by_the_device_s_clock_and_begin_when_they_are_wanted() {
        let mut login = Login::new("a<b".into(), "x".into());
        assert_eq!(login.header(now(1), [0; 16]), "");
        login.taken();
        assert!(login.may_try(), "it was answered without one");
        login.begin(Timestamp::parse_rfc3339("2008-10-10T12:24:57Z").unwrap(), now(5));
        let header = login.header(now(66), [0; 16]);
        assert!(header.contains("<u:Created>2008-10-10T12:25:58Z</u:Created>"), "{header}");
        assert!(header.contains("<w:Username>a&lt;b</w:Username>"), "{header}");
        assert!(!login.may_try(), "the first one tells");
        login.taken();
        assert!(login.may_try(), "its clock may have been set since");
        login.forget();
        assert_eq!(login.header(now(1), [0; 16]), "");
    }
}
