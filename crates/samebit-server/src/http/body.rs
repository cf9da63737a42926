//! Bodies: read whole within a time and a size, and understood with errors that name the place.

use super::ApiError;
use crate::app::App;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

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
        Ok(bytes) => bytes,
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
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than the {most} bytes that are allowed"))
        .code("body_too_large")
}

/// A form that some other site's page submits is no JSON: so a browser asks before it sends anything here.
fn expect_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "send JSON, with the header `Content-Type: application/json`";
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
}

/// Understands a body. Fields that nobody knows are passed over.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if let Err(error) = std::str::from_utf8(bytes) {
        let at = error.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        return Err(ApiError::bad(format!("the body is not UTF-8: byte {at} is 0x{byte:02x}")).code("invalid_utf8"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data if path != "." => ApiError::field(&path, inner),
            serde_json::error::Category::Data => ApiError::bad(inner.to_string()),
            _ => ApiError::bad(format!("the body is not JSON: {inner}")).code("invalid_json"),
        }
    })?;
    reader.end().map_err(|error| ApiError::bad(format!("the body is not JSON: {error}")).code("invalid_json"))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Sample {
        n: Option<u32>,
        list: Option<Vec<f32>>,
    }

    fn error(bytes: &[u8]) -> ApiError {
        parse::<Sample>(bytes).expect_err("no sample")
    }

    #[test]
    fn errors_name_the_place() {
        assert_eq!(parse(br#"{"n": 3, "unknown": {}}"#), Ok(Sample { n: Some(3), list: None }));
        let wrong = error(br#"{"n": -3}"#);
        assert_eq!(wrong.param.as_deref(), Some("n"));
        assert!(wrong.message.starts_with("n: invalid value: integer `-3`, expected u32"), "{}", wrong.message);
        assert_eq!(error(br#"{"list": [1, "x"]}"#).param.as_deref(), Some("list[1]"));
        assert_eq!(error(b"{\"n\": \xff}").code, Some("invalid_utf8"));
        for broken in [&b""[..], b"{", b"{} {}", b"{\"n\": 1e999}", b"nul"] {
            assert_eq!(error(broken).status.as_u16(), 400);
        }
        assert_eq!(error(&[b'['].repeat(100_000)).status.as_u16(), 400);
    }
}
