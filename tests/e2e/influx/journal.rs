//! The loop on a real store: nothing lost, nothing reordered, the cursor only behind what is confirmed.

use tests::databases::http;
use tests::standin::{Asked, Reply, Standin};

/// InfluxDB 1 has no v2 write API before 1.8; this carries the requests over to its `/write`.
pub async fn v2_in_front_of(influx1: u16) -> Standin {
    Standin::start(0, move |asked: Asked| async move {
        let url = format!("http://127.0.0.1:{influx1}/write?db=gridwarden&precision=ms");
        let answer = http().unwrap().post(url).body(asked.body).send().await.unwrap();
        let status = answer.status().as_u16();
        Reply::json(status, answer.text().await.unwrap())
    })
    .await
    .unwrap()
}
