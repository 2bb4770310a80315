//! A webhook: one POST request per message.
//!
//! Delivered is what is answered with 2xx. A redirect is not followed: it would turn a POST into a GET that tells nobody,
//! and take the findings to an address that nobody chose.

use std::fmt;
use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderName, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::{BYTES_MAX, FINDINGS_MAX, Failure};
use crate::watch::message::Limits;
use crate::watch::slack::{self, slack_text};
use crate::watch::{Message, WatchError};

/// By what a receiver tells that it has a message already.
const KEY_HEADER: &str = "Idempotency-Key";

/// What a webhook takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFormat {
    /// keytrail's own JSON.
    Json,
    /// What Slack's incoming webhooks show.
    Slack,
}

/// A webhook's address and the way to it.
pub struct Webhook {
    client: Client,
    url: Url,
    format: WebhookFormat,
}

impl fmt::Debug for Webhook {
    /// Without its address, which lets anyone post.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Webhook").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Webhook {
    /// Of an `https` or `http` address; a request that takes longer than `timeout` has failed.
    ///
    /// # Errors
    /// When the text is no such address, or there are no certificates to check a server by.
    pub fn new(address: &str, format: WebhookFormat, timeout: Duration) -> Result<Self, WatchError> {
        let wrong = |why: String| WatchError::Webhook { why };
        let url = Url::parse(address).map_err(|error| wrong(format!("its address is no URL: {error}")))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(wrong("its address begins neither with https:// nor with http://".to_owned()));
        }
        let client = Client::builder()
            .timeout(timeout)
            .redirect(Policy::none())
            .user_agent(concat!("keytrail/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| wrong(told(error)))?;
        Ok(Self { client, url, format })
    }

    pub(super) fn address(&self) -> &str {
        self.url.as_str()
    }

    pub(super) fn limits(&self) -> Limits {
        match self.format {
            WebhookFormat::Json => Limits { findings: FINDINGS_MAX, bytes: BYTES_MAX },
            WebhookFormat::Slack => Limits { findings: slack::FINDINGS_MAX, bytes: usize::MAX },
        }
    }

    pub(super) async fn deliver(&self, message: &Message, lake: &str) -> Result<(), Failure> {
        let body = match self.format {
            WebhookFormat::Json => message.json(lake),
            WebhookFormat::Slack => slack_text(message, lake),
        };
        let body = body.map_err(|error| Failure::Lasting { why: error.to_string() })?;
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header(KEY_HEADER, &message.key)
            .body(body);
        match request.send().await {
            Ok(response) => judged(&response),
            Err(error) => Err(Failure::passing(told(error))),
        }
    }
}

/// What an answer means.
fn judged(response: &Response) -> Result<(), Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let why = format!("it answered {}", status.as_u16());
    let is_busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    if is_busy {
        let header = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
        return Err(Failure::Passing { why, after: header(RETRY_AFTER).and_then(|asked| wait(asked, header(DATE))) });
    }
    if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        return Err(Failure::passing(why));
    }
    // What is wrong with a message is another matter than an address that takes none.
    let is_about_the_message = matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::CONFLICT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY
    );
    Err(if is_about_the_message { Failure::Lasting { why } } else { Failure::Closed { why } })
}

/// How long `Retry-After` asks to wait: seconds, or until an instant (RFC 9110 §10.2.3), by the receiver's own clock.
fn wait(asked: &str, date: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = asked.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = |text: &str| DateTime::parse_from_rfc2822(text.trim()).ok();
    Some((at(asked)? - at(date?)?).to_std().unwrap_or_default())
}

/// Why a request failed, with its causes and without its address.
fn told(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(one) = cause {
        text.push_str(": ");
        text.push_str(&one.to_string());
        cause = one.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_asks_for_a_wait_in_seconds_or_until_an_instant() {
        let now = Some("Mon, 05 Jan 2026 10:00:00 GMT");
        assert_eq!(wait(" 120 ", None), Some(Duration::from_mins(2)));
        assert_eq!(wait("Mon, 05 Jan 2026 10:00:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(wait("Mon, 05 Jan 2026 09:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(wait("Mon, 05 Jan 2026 10:00:30 GMT", None), None);
        assert_eq!(wait("soon", now), None);
    }

    #[test]
    fn an_address_that_is_none_is_not_repeated() {
        for address in ["hooks.example.com/T0/secret", "ftp://hooks.example.com/T0/secret", "http://[secret", ""] {
            let error = Webhook::new(address, WebhookFormat::Json, Duration::from_secs(1)).unwrap_err().to_string();
            assert!(!error.contains("secret") && !error.contains("hooks"), "{error}");
        }
        let webhook =
            Webhook::new("https://h.example.com/secret", WebhookFormat::Json, Duration::from_secs(1)).unwrap();
        assert!(!format!("{webhook:?}").contains("secret"));
    }
}
