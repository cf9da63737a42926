//! Bodies: read whole within a time and a size, and understood with errors that name the place.

use super::ApiError;
use super::work::Mark;
use crate::app::App;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};

/// Reads a body of JSON.
pub(crate) async fn read(app: &App, request: Request) -> Result<Bytes, ApiError> {
    let (parts, body) = request.into_parts();
    expect_json(&parts.headers)?;
    let most = app.options.body_bytes;
    let declared = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|bytes: u64| bytes > most as u64) {
        return Err(too_large(most));
    }
    match tokio::time::timeout(app.options.io_timeout, collect(body, most)).await {
        Ok(bytes) => {
            if let Some(mark) = parts.extensions.get::<Mark>() {
                mark.set(&app.answering);
            }
            bytes
        }
        Err(_) => {
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time").code("request_timeout"))
        }
    }
}

async fn collect(body: Body, most: usize) -> Result<Bytes, ApiError> {
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(most)),
        Err(_) => Err(ApiError::bad("the body broke off")),
    }
}

fn too_large(most: usize) -> ApiError {
    let message = format!("the body is larger than the {most} bytes that this server allows (--max-body)");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message).code("body_too_large")
}

/// A form that some other site's page submits is no JSON: so a browser asks before it sends anything here.
fn expect_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let coded = headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    let message = match essence.eq_ignore_ascii_case("application/json") {
        false => "send JSON, with the header `Content-Type: application/json`",
        true if coded => "send the body as it is, without a `Content-Encoding`",
        true => return Ok(()),
    };
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
}

/// Understands a body. Fields that nobody knows are passed over.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if let Err(error) = std::str::from_utf8(bytes) {
        let at = error.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        return Err(ApiError::bad(format!("the body is not UTF-8: byte {at} is 0x{byte:02x}")).code("invalid_utf8"));
    }
    expect_object(bytes)?;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| refusal(&error.path().to_string(), error.inner()))?;
    reader.end().map_err(|error| no_json(&error))?;
    Ok(value)
}

fn no_json(error: &serde_json::Error) -> ApiError {
    ApiError::bad(format!("the body is not JSON: {error}")).code("invalid_json")
}

/// A body is an object: a list would pass for one whose fields come in order.
fn expect_object(bytes: &[u8]) -> Result<(), ApiError> {
    match bytes.trim_ascii_start().first() {
        Some(b'{') => Ok(()),
        None => Err(ApiError::bad("the body is empty: send a JSON object").code("invalid_json")),
        Some(_) => match serde_json::from_slice::<IgnoredAny>(bytes) {
            Ok(_) => Err(ApiError::bad("the body must be a JSON object, such as {\"seed\": 7}")),
            Err(error) => Err(no_json(&error)),
        },
    }
}

/// What is wrong with a body, in words for people who do not know what it is read with.
fn refusal(path: &str, error: &serde_json::Error) -> ApiError {
    let text = error.to_string();
    if text.starts_with("recursion limit exceeded") {
        let error = ApiError::bad("the body is nested too deep: it may have 127 levels");
        return match path.split(['.', '[']).next() {
            Some(field) if !field.is_empty() => error.param(field),
            _ => error,
        };
    }
    if text.starts_with("number out of range") {
        return at(path, text);
    }
    if !error.is_data() {
        return no_json(error);
    }
    for (beginning, what) in [
        ("missing field `", "this field is missing"),
        ("duplicate field `", "this field is there twice, perhaps under another name too: give it once"),
    ] {
        if let Some(name) = text.strip_prefix(beginning).and_then(|rest| rest.split('`').next()) {
            return at(&joined(path, name), what);
        }
    }
    at(path, plain(&text))
}

/// An error at a place; `.` is the body itself.
fn at(path: &str, message: impl std::fmt::Display) -> ApiError {
    if path == "." { ApiError::bad(message.to_string()) } else { ApiError::field(path, message) }
}

/// A field's place within another's. Some errors come when the place names the field already.
fn joined(path: &str, name: &str) -> String {
    if path == "." {
        return name.to_owned();
    }
    match path.rsplit('.').next() {
        Some(last) if last == name => path.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

/// What was expected, named as JSON names it.
fn plain(text: &str) -> String {
    let Some((found, expected)) = text.rsplit_once(", expected ") else { return text.to_owned() };
    let (kind, place) = expected.split_at(expected.find(" at line ").unwrap_or(expected.len()));
    let kind = match kind {
        "i64" => "a whole number",
        "i32" => "a whole number of 32 bits",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        kind if kind.starts_with("struct ") => "an object",
        kind => kind,
    };
    format!("{found}, expected {kind}{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Sample {
        n: Option<u32>,
        list: Option<Vec<f32>>,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Outer {
        #[serde(rename = "inner")]
        _inner: Inner,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Inner {
        #[serde(rename = "needed")]
        _needed: u32,
    }

    fn error(bytes: &[u8]) -> ApiError {
        parse::<Sample>(bytes).expect_err("no sample")
    }

    #[test]
    fn errors_name_the_place() {
        assert_eq!(parse(br#"{"n": 3, "unknown": {}}"#), Ok(Sample { n: Some(3), list: None }));
        let wrong = error(br#"{"n": -3}"#);
        assert_eq!(wrong.param.as_deref(), Some("n"));
        assert!(
            wrong.message.starts_with("n: invalid value: integer `-3`, expected a whole number from 0"),
            "{}",
            wrong.message
        );
        assert_eq!(error(br#"{"list": [1, "x"]}"#).param.as_deref(), Some("list[1]"));
        assert_eq!(error(b"{\"n\": \xff}").code, Some("invalid_utf8"));
        for broken in [&b""[..], b"{", b"{} {}", b"{\"n\": 1e999}", b"nul"] {
            assert_eq!(error(broken).status.as_u16(), 400);
        }
        assert_eq!(error(&[b'['].repeat(100_000)).status.as_u16(), 400);
        assert_eq!(
            error(b"{\"n\": \"x\"}").message.split(" at ").next(),
            Some("n: invalid type: string \"x\", expected a whole number from 0 to 4294967295")
        );
        let twice = error(b"{\"n\": 1, \"n\": 2}");
        assert_eq!((twice.param.as_deref(), twice.code), (Some("n"), None), "{}", twice.message);
        let missing = parse::<Outer>(b"{\"inner\": {}}").expect_err("nothing in it");
        assert_eq!(missing.param.as_deref(), Some("inner.needed"), "{}", missing.message);
        assert_eq!(parse::<Outer>(b"{}").expect_err("nothing in it").param.as_deref(), Some("inner"));
    }

    #[test]
    fn json_that_is_refused_is_called_json() {
        for no_object in [&b"null"[..], b" \"x\"", b"[]", b"[3, [1.5]]", b"3"] {
            let error = error(no_object);
            assert_eq!(
                (error.code, error.message.contains("must be a JSON object")),
                (None, true),
                "{}",
                error.message
            );
        }
        assert_eq!(error(b"nul").code, Some("invalid_json"));
        let far = error(b"{\"list\": [1e999]}");
        assert_eq!((far.code, far.param.as_deref()), (None, Some("list[0]")), "{}", far.message);
        let deep = format!("{{\"x\": {}1{}}}", "[".repeat(300), "]".repeat(300));
        let deep = parse::<std::collections::BTreeMap<String, serde_json::Value>>(deep.as_bytes()).expect_err("deep");
        assert!(deep.message.contains("nested too deep") && deep.code.is_none(), "{}", deep.message);
        assert_eq!(deep.param.as_deref(), Some("x"));
    }
}
