//! Names of responses and of the events in a stream.
//!
//! A response's name is a prefix, the second it was begun in, a random number, and a digest of everything that its text depends on:
//! model, numerics, prompt, sampling. An event's name is the response's with the number of tokens that its choices had come to. So any
//! server that computes the same can go on where another broke off, and one that would compute something else notices.

use crate::app::unix_seconds;
use crate::http::ApiError;
use crate::http::error::quoted;
use crate::http::gate::random;
use axum::http::{HeaderMap, StatusCode};

/// Digits of the digest: enough against accidents, which are what there is to notice.
const DIGEST: usize = 16;
/// Digits of the second and of the random number.
const BIRTH: usize = 16;

/// Where a client says which event it had last.
const HEADER: &str = "Last-Event-ID";

/// A response's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResponseId {
    prefix: &'static str,
    created: u64,
    random: u32,
    digest: String,
}

impl ResponseId {
    /// A new name for a response whose plan has this digest.
    pub(crate) fn new(prefix: &'static str, created: u64, digest: &str) -> Self {
        let digest = digest.get(..DIGEST).unwrap_or(digest).to_owned();
        Self { prefix, created, random: random() as u32, digest }
    }

    /// When the response was begun, in seconds since 1970.
    pub(crate) fn created(&self) -> u64 {
        self.created
    }

    /// The name itself.
    pub(crate) fn text(&self) -> String {
        format!("{}-{}", self.prefix, self.unique())
    }

    /// The name without its prefix: for what belongs to the response.
    pub(crate) fn unique(&self) -> String {
        format!("{:08x}{:08x}{}", self.created, self.random, self.digest)
    }

    /// The name of the response that is gone on with, or a new one. Each choice has so many `events` at most.
    ///
    /// # Errors
    /// The event belongs to another answer, or to none.
    pub(crate) fn of(
        prefix: &'static str,
        last: Option<&LastEvent>,
        digest: &str,
        choices: usize,
        events: u64,
    ) -> Result<Self, ApiError> {
        let Some(last) = last else { return Ok(Self::new(prefix, unix_seconds(), digest)) };
        last.check(digest, choices)?;
        last.within(events)?;
        Ok(last.id.clone())
    }

    fn parse(prefix: &'static str, text: &str) -> Option<Self> {
        let rest = text.strip_prefix(prefix)?.strip_prefix('-')?;
        if rest.len() != BIRTH + DIGEST || !rest.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()) {
            return None;
        }
        let created = u64::from_str_radix(&rest[..8], 16).ok()?;
        let random = u32::from_str_radix(&rest[8..16], 16).ok()?;
        Some(Self { prefix, created, random, digest: rest[BIRTH..].to_owned() })
    }
}

/// What a client has seen of a stream that broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastEvent {
    pub(crate) id: ResponseId,
    /// For each choice the position of its latest event.
    pub(crate) seen: Vec<u64>,
}

impl LastEvent {
    /// What `Last-Event-ID` says, if it is there.
    ///
    /// # Errors
    /// It is no event's name of such a response.
    pub(crate) fn from_headers(headers: &HeaderMap, prefix: &'static str) -> Result<Option<Self>, ApiError> {
        let Some(value) = headers.get("last-event-id") else { return Ok(None) };
        // What is no text names no event either.
        let text = String::from_utf8_lossy(value.as_bytes());
        if text.is_empty() {
            return Ok(None);
        }
        let parsed = text.split_once(':').and_then(|(id, seen)| {
            let seen: Option<Vec<u64>> = seen.split(',').map(|position| position.parse().ok()).collect();
            Some(Self { id: ResponseId::parse(prefix, id)?, seen: seen? })
        });
        parsed.map(Some).ok_or_else(|| {
            let name = quoted(&text);
            let message =
                format!("no event of this endpoint is named `{name}`: repeat the id of the last event that came");
            ApiError::bad(message).param(HEADER)
        })
    }

    /// Refuses to go on with another answer than the one that broke off.
    fn check(&self, digest: &str, choices: usize) -> Result<(), ApiError> {
        if digest.starts_with(&self.id.digest) && self.seen.len() == choices {
            return Ok(());
        }
        let message =
            "the event belongs to another request, model or version of the numerics: the stream cannot be resumed here";
        Err(ApiError::new(StatusCode::CONFLICT, message).code("resume_mismatch").param(HEADER))
    }

    /// Refuses an event that lies behind all that the answer can come to: `events` at most of a choice.
    fn within(&self, events: u64) -> Result<(), ApiError> {
        if self.seen.iter().all(|&seen| seen <= events) {
            return Ok(());
        }
        Err(Self::beyond())
    }

    /// There is no such event: the answer ends before it.
    pub(super) fn beyond() -> ApiError {
        let message = "the answer ends before that event: repeat the id of the last event that came";
        ApiError::new(StatusCode::CONFLICT, message).code("resume_mismatch").param(HEADER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn headers(value: &str) -> HeaderMap {
        let name = HeaderName::from_static("last-event-id");
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("a value"))])
    }

    #[test]
    fn names_come_back() {
        let id = ResponseId::new("cmpl", 0x6543_2100, "0123456789abcdef0123");
        let last = LastEvent::from_headers(&headers(&format!("{}:3,17", id.text())), "cmpl");
        let last = last.expect("a name").expect("there");
        assert_eq!((last.id.clone(), &last.seen[..]), (id, &[3, 17][..]));
        assert_eq!(last.id.created(), 0x6543_2100);
        assert!(last.check("0123456789abcdef9999", 2).is_ok());
        assert!(last.within(17).is_ok() && last.within(16).is_err());
        assert!(last.check("0123456789abcdef9999", 1).is_err() && last.check("1123456789abcdef9999", 2).is_err());
    }

    #[test]
    fn other_names_are_refused() {
        let id = ResponseId::new("cmpl", 1, "0123456789abcdef").text();
        for wrong in [
            "x",
            ":",
            "cmpl-:1",
            &id,
            &format!("{id}:"),
            &format!("{id}:-1"),
            &format!("{id}:1,"),
            &format!("chat{id}:1"),
        ] {
            assert!(LastEvent::from_headers(&headers(wrong), "cmpl").is_err(), "{wrong}");
        }
        let foreign = HeaderValue::from_bytes(b"cmpl-\xff").expect("bytes that a header may have");
        let foreign = HeaderMap::from_iter([(HeaderName::from_static("last-event-id"), foreign)]);
        assert_eq!(LastEvent::from_headers(&foreign, "cmpl").expect_err("no name").status, StatusCode::BAD_REQUEST);
        assert_eq!(LastEvent::from_headers(&headers(""), "cmpl"), Ok(None));
        assert_eq!(LastEvent::from_headers(&HeaderMap::new(), "cmpl"), Ok(None));
    }
}
