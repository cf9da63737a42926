//! API keys: who may ask. Keys are kept and compared as digests, in a time that does not depend on where they differ.

use axum::http::{HeaderMap, header};
use blake3::Hash;

/// The keys that are accepted.
pub(crate) struct Keys {
    hashes: Vec<Hash>,
}

/// What a request's key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// No key is asked for.
    Open,
    /// The key of this number.
    Key(usize),
    /// No key, or a wrong one.
    Denied,
}

impl Keys {
    pub(crate) fn new(keys: &[String]) -> Self {
        Self { hashes: keys.iter().map(|key| blake3::hash(key.as_bytes())).collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// What the key in `Authorization: Bearer`, `X-Api-Key` or `Api-Key` says.
    pub(crate) fn access(&self, headers: &HeaderMap) -> Access {
        if self.hashes.is_empty() {
            return Access::Open;
        }
        let Some(given) = given(headers) else { return Access::Denied };
        let given = blake3::hash(given);
        // Comparing hashes takes the same time wherever they differ.
        let mut fits = self.hashes.iter().enumerate().filter(|(_, hash)| **hash == given).map(|(index, _)| index);
        fits.next_back().map_or(Access::Denied, Access::Key)
    }
}

fn given(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let bearer = bearer.and_then(|value| {
        let (scheme, key) = value.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
    });
    let plain = || headers.get("x-api-key").or_else(|| headers.get("api-key")).map(|value| value.as_bytes());
    bearer.or_else(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().expect("a name"), HeaderValue::from_static(value))])
    }

    #[test]
    fn keys_open_and_others_do_not() {
        let keys = Keys::new(&["first".into(), "second".into()]);
        assert_eq!(keys.access(&headers("authorization", "Bearer second")), Access::Key(1));
        assert_eq!(keys.access(&headers("authorization", "bearer first")), Access::Key(0));
        assert_eq!(keys.access(&headers("x-api-key", "first")), Access::Key(0));
        for wrong in ["Bearer", "Bearer ", "Bearer firs", "Bearer first2", "Basic first", "first"] {
            assert_eq!(keys.access(&headers("authorization", wrong)), Access::Denied, "{wrong}");
        }
        assert_eq!(keys.access(&HeaderMap::new()), Access::Denied);
        assert_eq!(Keys::new(&[]).access(&HeaderMap::new()), Access::Open);
    }
}
