//! The page at `/`: a few files compiled into the program. They hold no data; what they show they fetch with the reader's token or session.

use std::future::ready;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, kind and text.
const FILES: [(&str, &str, &str); 7] = [
    ("/", HTML, include_str!("../../../dashboards/station/index.html")),
    ("/station.css", CSS, include_str!("../../../dashboards/station/station.css")),
    ("/station.js", SCRIPT, include_str!("../../../dashboards/station/station.js")),
    ("/alarm.js", SCRIPT, include_str!("../../../dashboards/station/alarm.js")),
    ("/words.js", SCRIPT, include_str!("../../../dashboards/station/words.js")),
    ("/element.js", SCRIPT, include_str!("../../../dashboards/station/element.js")),
    ("/gateway.js", SCRIPT, include_str!("../../../dashboards/station/gateway.js")),
];

pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(move || ready(file(kind, text))))
    })
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], text)
}
