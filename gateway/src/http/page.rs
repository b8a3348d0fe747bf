//! The pages: the board at `/`, the worker's at `/worker/`, the resident's at `/report/…`. Files of dashboards/web, built by `make web`, compiled into the program.
//!
//! They hold no data; what they show they fetch with the reader's session or token. A file whose name carries a hash may be kept for ever, any other is asked for
//! again with its tag. Nothing is compressed here: each text was when it was built.

use std::future::ready;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

struct File {
    address: &'static str,
    kind: &'static str,
    tag: &'static str,
    bytes: &'static [u8],
    gzip: Option<&'static [u8]>,
}

const FILES: &[File] = &include!(concat!(env!("OUT_DIR"), "/pages.rs"));
/// Files here have names that change with what is in them.
const HASHED: &str = "/assets/";

/// Where every file is served.
pub fn addresses() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|file| file.address)
}

pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let mut router = Router::new().route("/worker", get(|| ready(Redirect::permanent("/worker/"))));
    for file in FILES {
        let answer = move |headers: HeaderMap| ready(answer(file, &headers));
        router = router.route(file.address, get(answer));
        if file.address == "/report/" {
            router = router.route("/report/{token}", get(answer)); // The page itself asks what the token opens.
        }
    }
    router
}

/// Whether this is one of what the reader has or takes.
pub(super) fn asks(headers: &HeaderMap, name: HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().trim_start_matches("W/").split(';').next() == Some(wanted))
}

fn answer(file: &'static File, headers: &HeaderMap) -> Response {
    let keep =
        if file.address.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let about = [(header::ETAG, file.tag), (header::CACHE_CONTROL, keep), (header::VARY, "accept-encoding")];
    if asks(headers, header::IF_NONE_MATCH, file.tag) {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    match file.gzip {
        Some(small) if asks(headers, header::ACCEPT_ENCODING, "gzip") => {
            (about, [(header::CONTENT_TYPE, file.kind), (header::CONTENT_ENCODING, "gzip")], small)
                .into_response()
        }
        Some(_) | None => (about, [(header::CONTENT_TYPE, file.kind)], file.bytes).into_response(),
    }
}
