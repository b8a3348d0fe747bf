//! The page at `/`: three files compiled into the program. They hold no data; what they show they fetch with the reader's token.

use std::future::ready;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

const INDEX: &str = include_str!("../../../dashboards/station/index.html");
const STYLE: &str = include_str!("../../../dashboards/station/station.css");
const SCRIPT: &str = include_str!("../../../dashboards/station/station.js");

pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(|| ready(file("text/html; charset=utf-8", INDEX))))
        .route("/station.css", get(|| ready(file("text/css; charset=utf-8", STYLE))))
        .route("/station.js", get(|| ready(file("text/javascript; charset=utf-8", SCRIPT))))
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], text)
}
