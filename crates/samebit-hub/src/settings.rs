//! Where models lie and whom to ask: what the environment says, in the words of Hugging Face's own tools.

use crate::error::HubError;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// The hub that is asked unless `HF_ENDPOINT` names another.
const ENDPOINT: &str = "https://huggingface.co";
/// Pieces of a file that are fetched at once.
const PARTS: usize = 4;
/// Before a broken connection is tried again; doubled each time.
const PAUSE: Duration = Duration::from_millis(500);

/// What a [`Library`](crate::Library) goes by. Not to be printed: the token is a secret.
#[derive(Clone)]
pub struct Settings {
    /// Hugging Face's cache: `HF_HUB_CACHE`, or `hub` in `HF_HOME`, or in `~/.cache/huggingface`.
    pub hub_cache: PathBuf,
    /// Everything else: `SAMEBIT_MODELS_DIR`, or `~/.cache/samebit/models`.
    pub store: PathBuf,
    /// The hub: `HF_ENDPOINT`.
    pub endpoint: String,
    /// What proves to the hub who asks: `HF_TOKEN`, or the file that its own tools keep it in. It is sent to the hub and nowhere else.
    pub token: Option<String>,
    /// `HF_HUB_OFFLINE`: ask nobody.
    pub offline: bool,
    /// Pieces of a file that are fetched at once.
    pub parts: usize,
    /// Before a broken connection is tried again; doubled each time.
    pub pause: Duration,
    /// Whether pip should be silent.
    pub quiet: bool,
}

impl Settings {
    /// From a look-up of environment variables and the home directory.
    ///
    /// # Errors
    /// No home directory, and no variables that say where else.
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
    ) -> Result<Self, HubError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = |name: &str| variable(name).map(PathBuf::from);
        let text =
            |name: &str| variable(name).and_then(|value| value.into_string().ok()).map(|text| text.trim().to_owned());
        let cache = path("XDG_CACHE_HOME").filter(|path| path.is_absolute()).or_else(|| Some(home?.join(".cache")));
        let homeless = || {
            HubError::Local(
                "no home directory: set HF_HUB_CACHE and SAMEBIT_MODELS_DIR to folders for models".to_owned(),
            )
        };
        let hub_home = path("HF_HOME").or_else(|| Some(cache.as_ref()?.join("huggingface")));
        let hub_cache = path("HF_HUB_CACHE").or_else(|| Some(hub_home.as_ref()?.join("hub"))).ok_or_else(homeless)?;
        let store = path("SAMEBIT_MODELS_DIR").or_else(|| Some(cache?.join("samebit/models"))).ok_or_else(homeless)?;
        let token_file = path("HF_TOKEN_PATH").or_else(|| Some(hub_home?.join("token")));
        let kept = || Some(std::fs::read_to_string(token_file?).ok()?.trim().to_owned());
        let token = text("HF_TOKEN").or_else(kept).filter(|token| !token.is_empty());
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned()).trim_end_matches('/').to_owned();
        if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            return Err(HubError::Name(format!("HF_ENDPOINT is `{endpoint}`: it must begin with https://")));
        }
        let offline = text("HF_HUB_OFFLINE")
            .is_some_and(|value| matches!(&*value.to_ascii_lowercase(), "1" | "on" | "yes" | "true"));
        Ok(Self { hub_cache, store, endpoint, token, offline, parts: PARTS, pause: PAUSE, quiet: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)], home: Option<&str>) -> Result<Settings, HubError> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
        Settings::from_environment(find, home.map(PathBuf::from))
    }

    #[test]
    fn folders_are_those_of_the_hubs_own_tools() {
        let cache = |variables: &[(&str, &str)]| settings(variables, Some("h")).ok().map(|s| s.hub_cache);
        assert_eq!(cache(&[]), Some("h/.cache/huggingface/hub".into()));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x")]), Some("/x/huggingface/hub".into()));
        assert_eq!(cache(&[("HF_HOME", "hf"), ("XDG_CACHE_HOME", "/x")]), Some("hf/hub".into()));
        assert_eq!(cache(&[("HF_HUB_CACHE", "c"), ("HF_HOME", "hf")]), Some("c".into()));
        assert_eq!(
            settings(&[("HF_HOME", "")], Some("h")).ok().map(|s| s.store),
            Some("h/.cache/samebit/models".into())
        );
        assert!(settings(&[], None).is_err());
        assert!(settings(&[("HF_HUB_CACHE", "c"), ("SAMEBIT_MODELS_DIR", "m")], None).is_ok());
    }

    #[test]
    fn the_endpoint_and_the_token() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("token"), "kept\n").expect("a file");
        let home = folder.path().to_str().expect("UTF-8");
        let token = |more: &[(&str, &str)]| settings(&[&[("HF_HOME", home)], more].concat(), Some("h")).ok()?.token;
        assert_eq!(token(&[]).as_deref(), Some("kept"));
        assert_eq!(token(&[("HF_TOKEN", " given ")]).as_deref(), Some("given"));
        let endpoint = |value| settings(&[("HF_ENDPOINT", value)], Some("h")).map(|s| s.endpoint).ok();
        assert_eq!(endpoint("http://127.0.0.1:9/").as_deref(), Some("http://127.0.0.1:9"));
        assert_eq!(endpoint("ftp://x"), None);
        assert!(settings(&[("HF_HUB_OFFLINE", "1")], Some("h")).is_ok_and(|s| s.offline));
    }
}
