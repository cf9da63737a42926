//! How a model is named, and what of it may be in a path. Knows nothing of files or servers.

use crate::error::HubError;
use crate::known::{KNOWN, Known, known};
use std::fmt;

/// A model's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// One of the short names of [`KNOWN`].
    Short(&'static Known),
    /// `hf:owner/repo[@revision][:file-or-quant]`.
    Hub(HubName),
    /// `https://…[#sha256=…]`.
    Url(UrlName),
    /// `pip:package[==version]`.
    Package(PackageName),
}

/// A repository of the hub and what is wanted of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubName {
    pub(crate) owner: String,
    pub(crate) repo: String,
    /// A branch, tag or commit; `main` unless given.
    pub(crate) revision: String,
    pub(crate) wanted: Wanted,
}

/// Which of a repository's models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The one that most people would take.
    Default,
    /// The one of this quantisation.
    Quant(String),
    /// This file, or the split model that it begins.
    File(String),
}

/// An address, and what the file there should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlName {
    /// Without the fragment.
    pub(crate) url: String,
    /// The last part of the path, fit for a file's name.
    pub(crate) file: String,
    pub(crate) sha256: Option<String>,
}

/// A Python package that carries a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageName {
    pub(crate) package: String,
    pub(crate) version: Option<String>,
}

impl Name {
    /// Reads a name; `None` if the text has the form of none, and is perhaps a path.
    ///
    /// # Errors
    /// A text that has the beginning of a name but cannot be one.
    pub fn parse(text: &str) -> Result<Option<Self>, HubError> {
        if let Some(rest) = text.strip_prefix("hf:") {
            return HubName::parse(rest).map(|name| Some(Self::Hub(name)));
        }
        if let Some(rest) = text.strip_prefix("pip:") {
            return PackageName::parse(rest).map(|name| Some(Self::Package(name)));
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            return UrlName::parse(text).map(|name| Some(Self::Url(name)));
        }
        Ok(known(text).map(Self::Short))
    }

    /// As [`parse`](Self::parse), where nothing but a name will do.
    ///
    /// # Errors
    /// A text that is no name.
    pub fn require(text: &str) -> Result<Self, HubError> {
        Self::parse(text)?.ok_or_else(|| {
            let short: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
            let advice = format!(
                "give {}, hf:owner/repo[:file-or-quant], pip:package[==version] or https://…",
                short.join(", ")
            );
            let hint = text.split_once('/').filter(|(owner, repo)| part(owner) && part(repo));
            HubError::Name(match hint {
                Some(_) => format!("`{text}` is no model's name: did you mean hf:{text}? Or {advice}"),
                None => format!("`{text}` is no model's name: {advice}"),
            })
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(known) => f.write_str(known.name),
            Self::Hub(name) => name.fmt(f),
            Self::Url(name) => f.write_str(&name.url),
            Self::Package(name) => match &name.version {
                Some(version) => write!(f, "pip:{}=={version}", name.package),
                None => write!(f, "pip:{}", name.package),
            },
        }
    }
}

/// The branch that everybody means.
const MAIN: &str = "main";

impl HubName {
    fn parse(text: &str) -> Result<Self, HubError> {
        let wrong = |why: &str| {
            HubError::Name(format!(
                "`hf:{text}`: {why}; write hf:owner/repo, hf:owner/repo:Q4_K_M or hf:owner/repo:file.gguf"
            ))
        };
        let (place, wanted) = text.split_once(':').map_or((text, None), |(place, wanted)| (place, Some(wanted)));
        let (place, revision) = place.split_once('@').unwrap_or((place, MAIN));
        let (owner, repo) = place.split_once('/').ok_or_else(|| wrong("the owner or the repository is missing"))?;
        if !part(owner) || !part(repo) {
            return Err(wrong("no such owner and repository can be"));
        }
        if !safe_path(revision) {
            return Err(wrong("no such revision can be"));
        }
        let wanted = match wanted {
            None => Wanted::Default,
            Some(file) if file.to_ascii_lowercase().ends_with(".gguf") && safe_path(file) => {
                Wanted::File(file.to_owned())
            }
            Some(quant) if part(quant) => Wanted::Quant(quant.to_owned()),
            Some(_) => return Err(wrong("after the colon comes a quantisation or a .gguf file")),
        };
        Ok(Self { owner: owner.to_owned(), repo: repo.to_owned(), revision: revision.to_owned(), wanted })
    }

    /// As the hub's paths have it.
    pub(crate) fn place(&self) -> String {
        format!("{}/{}", self.owner, self.repo)
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hf:{}/{}", self.owner, self.repo)?;
        if self.revision != MAIN {
            write!(f, "@{}", self.revision)?;
        }
        match &self.wanted {
            Wanted::Default => Ok(()),
            Wanted::Quant(what) | Wanted::File(what) => write!(f, ":{what}"),
        }
    }
}

impl UrlName {
    fn parse(text: &str) -> Result<Self, HubError> {
        let wrong = |why: &str| HubError::Name(format!("`{text}`: {why}"));
        let (url, fragment) = text.split_once('#').map_or((text, None), |(url, rest)| (url, Some(rest)));
        let sha256 = match fragment {
            None => None,
            Some(fragment) => {
                let digest = fragment.strip_prefix("sha256=").map(str::to_ascii_lowercase);
                let digest = digest.filter(|digest| is_sha256(digest));
                Some(digest.ok_or_else(|| wrong("after # comes sha256= and 64 hexadecimal digits"))?)
            }
        };
        let (_, rest) = url.split_once("://").ok_or_else(|| wrong("no address"))?;
        let (host, path) = rest.split_once('/').ok_or_else(|| wrong("the address names no file"))?;
        if host.contains('@') {
            return Err(wrong("an address with a password in it would be kept in files: leave it out"));
        }
        if url.starts_with("http://") && sha256.is_none() && !is_loopback(host) {
            return Err(wrong("over http anybody could change it on its way: use https, or add #sha256=…"));
        }
        let path = path.split('?').next().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or_default();
        if !file.to_ascii_lowercase().ends_with(".gguf") || !part(file) {
            return Err(wrong("the address must end in the name of a .gguf file"));
        }
        Ok(Self { url: url.to_owned(), file: file.to_owned(), sha256 })
    }
}

impl PackageName {
    fn parse(text: &str) -> Result<Self, HubError> {
        let (package, version) = match text.split_once("==") {
            Some((package, version)) => (package, Some(version)),
            None => (text, None),
        };
        // What starts with a dash would be a flag of pip's.
        let good = |text: &str| part(text) && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !good(package) || !version.is_none_or(good) {
            return Err(HubError::Name(format!("`pip:{text}`: write pip:package or pip:package==1.2.3")));
        }
        Ok(Self { package: package.to_owned(), version: version.map(str::to_owned) })
    }
}

/// The machine itself: nobody stands between.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// 64 lower-case hexadecimal digits.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// One part of a path that no system understands otherwise: letters, digits, dots, dashes, underscores, plus.
pub(crate) fn part(text: &str) -> bool {
    let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    !text.is_empty() && text.len() <= 200 && !text.starts_with('.') && text.chars().all(usual)
}

/// A relative path that stays below where it begins.
pub(crate) fn safe_path(path: &str) -> bool {
    let good = |part: &str| !part.is_empty() && part != "." && part != "..";
    let plain = |c: char| !c.is_control() && !matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
    path.len() <= 1000 && path.split('/').all(good) && path.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        Name::parse(text).expect("no mistake").map(|name| name.to_string())
    }

    #[test]
    fn names_are_read_and_written() {
        for name in [
            "smollm2",
            "hf:a/b",
            "hf:a/b:Q8_0",
            "hf:a/b-GGUF@v1:sub/x.gguf",
            "pip:a",
            "pip:a-b==1.0",
            "https://h/x.gguf",
            "http://127.0.0.1:99/x.gguf",
        ] {
            assert_eq!(shown(name).as_deref(), Some(name));
        }
        assert_eq!(
            shown(&format!("https://h/a/x.gguf#sha256={}", "Ab".repeat(32))).as_deref(),
            Some("https://h/a/x.gguf")
        );
        for path in ["model.gguf", "./smollm2", "a/b", "D:\\x"] {
            assert_eq!(shown(path), None);
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_told() {
        for wrong in [
            "hf:",
            "hf:a",
            "hf:../b",
            "hf:a/b:",
            "hf:a/b:../x.gguf",
            "hf:a/b:/x.gguf",
            "hf:a/b@../x",
            "hf:a/b/c",
            "pip:",
            "pip:--index-url",
            "pip:a==-1",
            "pip:a;b",
            "https://h",
            "https://h/",
            "https://h/x.zip",
            "https://h/x.gguf#sha256=12",
            "https://u:p@h/x.gguf",
            "http://example.org/x.gguf",
        ] {
            assert!(matches!(Name::parse(wrong), Err(HubError::Name(_))), "{wrong}");
        }
        let error = Name::require("a/b").expect_err("a path").to_string();
        assert!(error.contains("did you mean hf:a/b?"), "{error}");
    }

    #[test]
    fn loopback() {
        assert!(["localhost", "127.0.0.1:8", "[::1]:8", "[::1]"].iter().all(|host| is_loopback(host)));
        assert!(["localhost.evil.org", "127.0.0.1.evil.org", "10.0.0.1"].iter().all(|host| !is_loopback(host)));
    }
}
