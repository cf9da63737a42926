//! The chat page: files that are part of the program, under a policy that lets them speak to this server and to nobody else.

use crate::app::App;
use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

/// Path, kind and content of files of one kind.
macro_rules! files {
    ($kind:literal: $($name:literal)*) => {
        &[$((concat!("/page/", $name), $kind, include_str!(concat!("../../page/", $name)))),*]
    };
}

type File = (&'static str, &'static str, &'static str);

const INDEX: &[File] = &[("/", "text/html; charset=utf-8", include_str!("../../page/index.html"))];
const STYLES: &[File] = files!("text/css; charset=utf-8": "prose.css" "style.css");
const PICTURES: &[File] = files!("image/svg+xml": "icon.svg");
const SCRIPTS: &[File] = files!("text/javascript; charset=utf-8":
    "announce.js" "api.js" "app.js" "chat.js" "compare.js" "composer.js" "conversation.js" "dialogs.js" "dom.js" "facts.js"
    "highlight.js" "inline.js" "keys.js" "library.js" "markdown.js" "message.js" "render.js" "settings.js" "sidebar.js"
    "store.js" "stream.js" "theme.js" "thinking.js" "transfer.js" "view.js");

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn files() -> impl Iterator<Item = File> {
    [INDEX, STYLES, PICTURES, SCRIPTS].into_iter().flatten().copied()
}

pub(crate) fn routes(router: Router<Arc<App>>) -> Router<Arc<App>> {
    files().fold(router, |router, (path, kind, text)| router.route(path, get(move || file(kind, text))))
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        let names =
            std::fs::read_dir(folder).expect("the page's folder").map(|entry| entry.expect("an entry").file_name());
        let shown = |name: &String| [".html", ".css", ".js", ".svg"].iter().any(|ending| name.ends_with(ending));
        let there: BTreeSet<String> = names.filter_map(|name| name.into_string().ok()).filter(shown).collect();
        let name = |path: &str| path.strip_prefix("/page/").unwrap_or("index.html").to_owned();
        assert_eq!(files().map(|(path, _, _)| name(path)).collect::<BTreeSet<_>>(), there);
    }
}
