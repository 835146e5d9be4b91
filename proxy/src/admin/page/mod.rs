//! The operator's page: files that are compiled in, and shown by the browser with nothing from elsewhere.
//!
//! It holds no data. What it shows, its scripts ask of [`super::api`], with the password that the browser was given.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Context;

/// Nothing but the page's own files and this port's own answers.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Where each file is, what it is, and what is in it.
const FILES: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("index.html")),
    ("/page/style.css", CSS, include_str!("style.css")),
    ("/page/icon.svg", SVG, include_str!("icon.svg")),
    ("/page/theme.js", SCRIPT, include_str!("theme.js")),
    ("/page/main.js", SCRIPT, include_str!("main.js")),
    ("/page/api.js", SCRIPT, include_str!("api.js")),
    ("/page/dom.js", SCRIPT, include_str!("dom.js")),
    ("/page/format.js", SCRIPT, include_str!("format.js")),
    ("/page/table.js", SCRIPT, include_str!("table.js")),
    ("/page/spark.js", SCRIPT, include_str!("spark.js")),
    ("/page/health.js", SCRIPT, include_str!("health.js")),
    ("/page/tenants.js", SCRIPT, include_str!("tenants.js")),
    ("/page/tenant.js", SCRIPT, include_str!("tenant.js")),
    ("/page/statements.js", SCRIPT, include_str!("statements.js")),
    ("/page/activity.js", SCRIPT, include_str!("activity.js")),
];

/// The files, each at its path.
pub(super) fn router() -> Router<Context> {
    FILES.iter().fold(Router::new(), |router, &(path, kind, body)| {
        router.route(path, get(move || async move { answer(kind, body) }))
    })
}

fn answer(kind: &'static str, body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data is put in as text, never as markup; and nothing is fetched from elsewhere.
    #[test]
    fn files_make_no_markup_of_data_and_name_no_other_host() {
        for (path, _, body) in FILES {
            for never in [
                "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style=\"",
                "onclick=",
            ] {
                assert!(!body.contains(never), "{path} has {never}");
            }
            let elsewhere = body.replace("http://www.w3.org/", "");
            assert!(
                !elsewhere.contains("//cdn")
                    && !elsewhere.contains("http://")
                    && !elsewhere.contains("https://"),
                "{path}"
            );
        }
    }
}
