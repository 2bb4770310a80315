//! One slice of event history, page by page.
//!
//! There is no way to begin in the middle: a slice that was not read to its end is read again from its beginning, and the
//! lake drops what it has. What comes is therefore bounded by the page and not by the slice.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_cloudtrail::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudtrail::operation::lookup_events::{LookupEventsError, LookupEventsOutput};
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};

use super::{Attribute, LookupError, RegionHistory, Slice};
use crate::source::aws;

/// The largest page that there is.
const PAGE_EVENTS: i32 = 50;

/// How long to wait after the first failure in a row, and at most.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How often one page may fail for reasons that pass, other than throttling. Throttling is told apart because it says that
/// CloudTrail is well and the account busy: it ends when the others do, and giving up would only lose what was read.
const FAILURES_MAX: u32 = 8;

/// Codes by which CloudTrail says that somebody asks too much.
const THROTTLED: [&str; 4] = ["ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"];

/// A slice that is being read.
#[derive(Debug)]
pub struct Reading {
    history: Arc<RegionHistory>,
    attribute: Attribute,
    from: DateTime,
    /// LookupEvents takes the last instant as part of the time, and tells whole seconds.
    to: DateTime,
    next: Next,
}

/// What to ask for next.
#[derive(Debug)]
enum Next {
    First,
    Page(String),
    Nothing,
}

impl Reading {
    pub(super) fn new(history: Arc<RegionHistory>, slice: &Slice) -> Self {
        let from = DateTime::from_secs(slice.from.timestamp());
        let to = DateTime::from_secs(slice.until.timestamp() - 1);
        Self { history, attribute: slice.attribute, from, to, next: Next::First }
    }

    /// The records of the next page that has any, one per line, the newest first; nothing at the end of the slice.
    ///
    /// Waits for its turn, and for as long as CloudTrail throttles. May be dropped at any time.
    ///
    /// # Errors
    /// When CloudTrail refuses, or fails again and again.
    pub async fn page(&mut self) -> Result<Option<String>, LookupError> {
        loop {
            let token = match &self.next {
                Next::First => None,
                Next::Page(token) => Some(token.clone()),
                Next::Nothing => return Ok(None),
            };
            let answer = self.ask(token.clone()).await?;
            self.next = match answer.next_token {
                None => Next::Nothing,
                // Asking the same again would never end.
                again if again == token => return Err(self.refused("the next page is the same page")),
                Some(token) => Next::Page(token),
            };
            let events = answer.events.unwrap_or_default();
            if !events.is_empty() {
                return Ok(Some(events.iter().map(line).collect()));
            }
        }
    }

    async fn ask(&self, token: Option<String>) -> Result<LookupEventsOutput, LookupError> {
        let (mut pause, mut attempt, mut failures) = (PAUSE_MIN, 0, 0);
        loop {
            if let Some(why) = self.history.closed.get() {
                return Err(self.refused(why));
            }
            self.history.pace.turn().await;
            let error = match self.request(token.clone()).await {
                Ok(answer) => {
                    self.history.is_silent.store(false, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if !is_throttled(&error) {
                failures += 1;
                if !passes(&error) || failures >= FAILURES_MAX {
                    // The first that is given up may have been a matter of its own, unless there never was an answer.
                    let is_silent = passes(&error) && self.history.is_silent.swap(true, Ordering::Relaxed);
                    if is_silent || is_of_the_region(&error) {
                        self.history.closed.get_or_init(|| told(&error));
                    }
                    return Err(self.refused(&told(&error)));
                }
            }
            attempt += 1;
            self.history.trouble.again(&format!("LookupEvents in {}", self.history.region), attempt, &told(&error));
            self.history.pace.pause(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn request(&self, token: Option<String>) -> Result<LookupEventsOutput, SdkError<LookupEventsError>> {
        let (key, value) = match self.attribute {
            Attribute::EventSource(source) => (LookupAttributeKey::EventSource, source),
            Attribute::EventName(name) => (LookupAttributeKey::EventName, name),
        };
        let attribute = LookupAttribute::builder().attribute_key(key).attribute_value(value).build();
        let attribute = attribute.map_err(SdkError::construction_failure)?;
        let request = self.history.client.lookup_events().lookup_attributes(attribute);
        let request = request.start_time(self.from).end_time(self.to).max_results(PAGE_EVENTS);
        request.set_next_token(token).send().await
    }

    fn refused(&self, why: &str) -> LookupError {
        LookupError::Refused { region: self.history.region.clone(), why: why.to_owned() }
    }
}

fn code(error: &SdkError<LookupEventsError>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

fn is_throttled(error: &SdkError<LookupEventsError>) -> bool {
    code(error).is_some_and(|code| THROTTLED.contains(&code))
}

/// Whether the same request may well succeed a little later.
fn passes(error: &SdkError<LookupEventsError>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        SdkError::DispatchFailure(_) => aws::is_of_the_way(error),
        SdkError::ServiceError(failure) => failure.raw().status().as_u16() >= 500,
        _ => false,
    }
}

/// Whether every other request to the Region would end like this one. What CloudTrail says of one request, or a fault that
/// it has with one page, must not keep the run from the rest.
fn is_of_the_region(error: &SdkError<LookupEventsError>) -> bool {
    match error {
        SdkError::ServiceError(failure) => {
            failure.raw().status().as_u16() < 500 && !is_about_the_request(failure.err())
        }
        SdkError::ConstructionFailure(_) | SdkError::ResponseError(_) => false,
        _ => true,
    }
}

fn is_about_the_request(error: &LookupEventsError) -> bool {
    matches!(
        error,
        LookupEventsError::InvalidNextTokenException(_)
            | LookupEventsError::InvalidTimeRangeException(_)
            | LookupEventsError::InvalidLookupAttributesException(_)
            | LookupEventsError::InvalidMaxResultsException(_)
    )
}

fn told(error: &SdkError<LookupEventsError>) -> String {
    let Some(code) = code(error) else { return aws::told(error) };
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    format!("{code}: {message}")
}

/// A record as a line. Its JSON may be spread over lines, between its tokens only; one without JSON becomes a record that
/// is of no use, so that it is counted as such.
fn line(event: &Event) -> String {
    let bare = || {
        let id = event.event_id().unwrap_or_default();
        let id: String =
            id.chars().filter(|character| character.is_ascii_alphanumeric() || *character == '-').collect();
        format!("{{\"eventID\":\"{id}\"}}")
    };
    let mut line = event.cloud_trail_event().map_or_else(bare, |json| json.replace(['\n', '\r'], " "));
    line.push('\n');
    line
}
