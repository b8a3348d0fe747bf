//! What an ONVIF device is asked, as SOAP 1.2, and what is read of its answers: addresses, times, faults. Pure. Notifications are read in `decode/onvif.rs`.

use std::time::Duration;

use roxmltree::{Document, Node};

use crate::decode::onvif::NOTIFICATIONS_MAX;
use crate::units::{Millis, Timestamp};

/// A pull point that nobody renews ends by itself.
pub const STANDS_S: u64 = 60;

const DEVICE: &str = "http://www.onvif.org/ver10/device/wsdl";
pub const EVENTS: &str = "http://www.onvif.org/ver10/events/wsdl";
const SUBSCRIPTIONS: &str = "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager";
const NOTIFICATION: &str = "http://docs.oasis-open.org/wsn/b-2";

/// What is asked for: a name for people, the action, and the body.
pub struct Ask {
    pub name: &'static str,
    pub action: String,
    body: String,
}

impl Ask {
    pub fn clock() -> Self {
        Self {
            name: "GetSystemDateAndTime",
            action: format!("{DEVICE}/GetSystemDateAndTime"),
            body: format!("<GetSystemDateAndTime xmlns=\"{DEVICE}\"/>"),
        }
    }

    pub fn services() -> Self {
        Self {
            name: "GetServices",
            action: format!("{DEVICE}/GetServices"),
            body: format!(
                "<GetServices xmlns=\"{DEVICE}\"><IncludeCapability>false</IncludeCapability></GetServices>"
            ),
        }
    }

    pub fn create() -> Self {
        Self {
            name: "CreatePullPointSubscription",
            action: format!("{EVENTS}/EventPortType/CreatePullPointSubscriptionRequest"),
            body: format!(
                "<CreatePullPointSubscription xmlns=\"{EVENTS}\"><InitialTerminationTime>PT{STANDS_S}S</InitialTerminationTime></CreatePullPointSubscription>"
            ),
        }
    }

    /// So long the device may wait for something to happen.
    pub fn pull(wait: Duration) -> Self {
        Self {
            name: "PullMessages",
            action: format!("{EVENTS}/PullPointSubscription/PullMessagesRequest"),
            body: format!(
                "<PullMessages xmlns=\"{EVENTS}\"><Timeout>PT{}S</Timeout><MessageLimit>{NOTIFICATIONS_MAX}</MessageLimit></PullMessages>",
                wait.as_secs()
            ),
        }
    }

    pub fn renew() -> Self {
        Self {
            name: "Renew",
            action: format!("{SUBSCRIPTIONS}/RenewRequest"),
            body: format!(
                "<Renew xmlns=\"{NOTIFICATION}\"><TerminationTime>PT{STANDS_S}S</TerminationTime></Renew>"
            ),
        }
    }

    pub fn unsubscribe() -> Self {
        Self {
            name: "Unsubscribe",
            action: format!("{SUBSCRIPTIONS}/UnsubscribeRequest"),
            body: format!("<Unsubscribe xmlns=\"{NOTIFICATION}\"/>"),
        }
    }

    pub fn envelope(&self, to: &str, login: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header>\
             <a:Action s:mustUnderstand=\"1\">{}</a:Action><a:To s:mustUnderstand=\"1\">{}</a:To>{login}</s:Header><s:Body>{}</s:Body></s:Envelope>",
            self.action,
            text(to),
            self.body
        )
    }
}

/// As it stands between tags.
pub fn text(plain: &str) -> String {
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Why a device did not do what it was asked: the innermost code of its fault, without the name space, such as `ActionNotSupported`.
pub fn fault(answer: &str) -> Option<String> {
    let document = Document::parse(answer).ok()?;
    let fault = find(document.root(), "Fault")?;
    let code = find(fault, "Code").and_then(|code| named(code, "Value").last());
    let code = code.or_else(|| find(fault, "faultcode"))?.text()?.trim();
    Some(code.rsplit(':').next().unwrap_or(code).to_owned())
}

/// A fault that is about the login: ONVIF's own (Core Specification, generic faults) or that of WS-Security.
pub fn is_about_the_login(fault: &str) -> bool {
    matches!(fault, "NotAuthorized" | "FailedAuthentication" | "InvalidSecurityToken" | "InvalidSecurity")
}

/// The address of the service of this name space.
pub fn service(answer: &str, space: &str) -> Option<String> {
    let document = Document::parse(answer).ok()?;
    let mut services = named(document.root(), "Service");
    let service = services
        .find(|service| named(*service, "Namespace").any(|node| node.text().map(str::trim) == Some(space)))?;
    find(service, "XAddr")?.text().map(str::to_owned)
}

/// The address of a new pull point.
pub fn address(answer: &str) -> Option<String> {
    let document = Document::parse(answer).ok()?;
    find(document.root(), "Address")?.text().map(str::to_owned)
}

/// How long a pull point stands from now on, by the device's own clock.
pub fn stands(answer: &str) -> Option<Duration> {
    let document = Document::parse(answer).ok()?;
    let time = |name| {
        let text = find(document.root(), name)?.text()?.trim();
        Timestamp::parse_rfc3339(text).or_else(|| Timestamp::parse_rfc3339(&format!("{text}Z")))
    };
    let (now, end) = (time("CurrentTime")?, time("TerminationTime")?);
    Some(end.since(now).as_duration())
}

/// What the device's clock shows, in UTC.
pub fn clock(answer: &str) -> Option<Timestamp> {
    let document = Document::parse(answer).ok()?;
    let utc = find(document.root(), "UTCDateTime")?;
    let number = |name| find(utc, name)?.text()?.trim().parse::<u32>().ok();
    let [year, month, day, hour, minute] = ["Year", "Month", "Day", "Hour", "Minute"].map(number);
    // A leap second, 60, is no time elsewhere.
    let (minute, second) = (minute?, number("Second")?);
    let text = format!("{:04}-{:02}-{:02}T{:02}:{minute:02}:00Z", year?, month?, day?, hour?);
    Some(Timestamp::parse_rfc3339(&text)? + Millis::from_secs(u64::from(second)))
}

fn named<'a>(node: Node<'a, 'a>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.descendants().filter(move |node| node.tag_name().name() == name)
}

fn find<'a>(node: Node<'a, 'a>, name: &'static str) -> Option<Node<'a, 'a>> {
    named(node, name).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(second: u32) -> String {
        format!(
            "<e><SystemDateAndTime><LocalDateTime><Time><Hour>20</Hour><Minute>24</Minute><Second>0</Second></Time><Date><Year>2008</Year><Month>10</Month><Day>10</Day></Date></LocalDateTime>\
             <UTCDateTime><Time><Hour>12</Hour><Minute>24</Minute><Second>{second}</Second></Time><Date><Year>2008</Year><Month>10</Month><Day>9</Day></Date></UTCDateTime></SystemDateAndTime></e>"
        )
    }

    #[test]
    fn the_clock_is_read_in_utc() {
        let at = |text: &str| Timestamp::parse_rfc3339(text);
        assert_eq!(clock(&utc(7)), at("2008-10-09T12:24:07Z"));
        assert_eq!(clock(&utc(60)), at("2008-10-09T12:25:00Z"), "a leap second");
        for none in ["", "<e/>", &utc(7).replace("UTCDateTime", "Nothing"), &utc(7).replace(">9<", ">99<")] {
            assert_eq!(clock(none), None, "{none}");
        }
    }

    #[test]
    fn how_long_a_point_stands_is_what_lies_between_two_times_of_the_device() {
        let between = |now: &str, end: &str| {
            stands(&format!(
                "<r><CurrentTime>{now}</CurrentTime><TerminationTime>{end}</TerminationTime></r>"
            ))
        };
        let minute = Some(Duration::from_secs(60));
        assert_eq!(between("2008-10-09T13:52:59Z", "2008-10-09T13:53:59Z"), minute);
        assert_eq!(between("2008-10-09T13:52:59", " 2008-10-09T13:53:59 "), minute, "without a zone");
        assert_eq!(between("2008-10-09T13:53:59Z", "2008-10-09T13:52:59Z"), Some(Duration::ZERO), "over");
        assert_eq!(between("now", "2008-10-09T13:52:59Z"), None);
    }

    #[test]
    fn a_fault_is_known_by_its_innermost_code() {
        let subcodes = |inner: &str| {
            format!(
                "<s:Fault xmlns:s='x'><s:Code><s:Value>s:Sender</s:Value>{inner}</s:Code><s:Reason/></s:Fault>"
            )
        };
        let subcode =
            |code: &str, more: &str| format!("<s:Subcode><s:Value>ter:{code}</s:Value>{more}</s:Subcode>");
        for (body, code, is_login) in [
            (subcodes(&subcode("NotAuthorized", "")), Some("NotAuthorized"), true),
            (subcodes(&subcode("InvalidArgVal", &subcode("NoConfig", ""))), Some("NoConfig"), false),
            (subcodes(""), Some("Sender"), false),
            // SOAP 1.1, as older devices speak it.
            (
                "<Fault><faultcode>wsse:FailedAuthentication</faultcode></Fault>".into(),
                Some("FailedAuthentication"),
                true,
            ),
            ("<html><body>Unauthorized</body></html>".into(), None, false),
            ("Unauthorized".into(), None, false),
        ] {
            assert_eq!(fault(&body).as_deref(), code, "{body}");
            assert_eq!(code.is_some_and(is_about_the_login), is_login, "{body}");
        }
    }
}
