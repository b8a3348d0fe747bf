//! E-mail over SMTP, one message to one person, plain text.
//!
//! 2xx is a receipt, and what the server says with it (its queue id, as a rule) is kept; 4xx is tried again, 5xx given up (RFC 5321 §4.2.1). The
//! connection is made for each message: mail is seldom here, and a connection kept for hours is dead when it is needed.

use std::time::Duration;

use anyhow::Context;
use futures::future::BoxFuture;
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::text::Text;
use super::{Channel, Notice, Sent};
use crate::config::channels::MailSecurity;

const TEXT_BYTES_MAX: usize = 64 << 10;

pub struct Mail {
    name: String,
    from: Mailbox,
    /// For people without an address of their own.
    to: Option<Mailbox>,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

/// Where and as whom.
pub struct Server<'a> {
    pub host: &'a str,
    pub port: Option<u16>,
    pub security: MailSecurity,
    pub credentials: Option<(String, String)>,
    pub timeout: Duration,
}

impl Mail {
    pub fn new(name: &str, from: &str, to: Option<&str>, server: Server<'_>) -> anyhow::Result<Self> {
        // As for HTTP: TLS takes its cryptography from the process's default.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let parameters = || TlsParameters::new(server.host.to_owned()).context("TLS for the mail server");
        let (tls, port) = match server.security {
            MailSecurity::Tls => (Tls::Wrapper(parameters()?), 465),
            MailSecurity::Starttls => (Tls::Required(parameters()?), 587),
            MailSecurity::None => (Tls::None, 25),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host)
            .port(server.port.unwrap_or(port))
            .tls(tls)
            .timeout(Some(server.timeout));
        if let Some((user, password)) = server.credentials {
            builder = builder.credentials(Credentials::new(user, password));
        }
        let mailbox = |text: &str| text.parse().with_context(|| format!("the mail address {text}"));
        Ok(Self {
            name: name.to_owned(),
            from: mailbox(from)?,
            to: to.map(mailbox).transpose()?,
            transport: builder.build(),
        })
    }

    async fn mail(&self, notice: &Notice) -> Sent {
        let own = notice.address().and_then(|address| address.parse::<Address>().ok());
        let name = notice.alert.person.as_ref().map(|person| person.name.clone());
        let own = own.map(|address| Mailbox::new(name.filter(|name| !name.is_empty()), address));
        let Some(to) = own.or_else(|| self.to.clone()) else {
            return notice.no_address(&self.name, "mail address");
        };
        let text = Text::of(notice);
        let id = format!("<{}@{}>", notice.token(), self.from.email.domain());
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .message_id(Some(id.clone()))
            .subject(text.title.replace(|c: char| c.is_control(), " "))
            .header(ContentType::TEXT_PLAIN)
            .body(text.body(TEXT_BYTES_MAX));
        let message = match message {
            Ok(message) => message,
            Err(error) => return Sent::gave_up(format!("the mail cannot be written: {error}")),
        };
        match self.transport.send(message).await {
            Ok(answer) => {
                let said: Vec<&str> = answer.message().collect();
                Sent::delivered(format!("{}: {}", answer.code(), said.join(" ")), Some(id))
            }
            Err(error) if error.is_permanent() => {
                Sent::gave_up(format!("the mail server refused it: {error}"))
            }
            Err(error) => Sent::retry(format!("the mail server did not take it: {error}"), None),
        }
    }
}

impl Channel for Mail {
    fn name(&self) -> &str {
        &self.name
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Sent> {
        Box::pin(self.mail(notice))
    }
}
