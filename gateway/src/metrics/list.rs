//! The names, in the order of a reading's way.

use super::Kind::{self, Counter, Gauge, Histogram};

/// Name, kind, labels, meaning.
pub const METRICS: &[(&str, Kind, &[&str], &str)] = &[
    // Sources.
    (
        "gridwarden_messages_total",
        Counter,
        &["source"],
        "Messages received: a publish, a Modbus answer, an uplink.",
    ),
    ("gridwarden_listener_connections", Gauge, &[], "Clients connected to the MQTT listener."),
    ("gridwarden_listener_messages_total", Counter, &[], "Messages published to the MQTT listener."),
    (
        "gridwarden_listener_refused_total",
        Counter,
        &["reason"],
        "Connections to the MQTT listener that were refused.",
    ),
    (
        "gridwarden_listener_closed_total",
        Counter,
        &["reason"],
        "Connections of the MQTT listener that ended.",
    ),
    ("gridwarden_listener_forbidden_total", Counter, &[], "Publishes to a topic that the user may not use."),
    (
        "gridwarden_listener_dropped_total",
        Counter,
        &[],
        "Messages a slow subscriber of the listener did not get.",
    ),
    (
        "gridwarden_listener_retained_full_total",
        Counter,
        &[],
        "Retained messages not kept because the limit was reached.",
    ),
    ("gridwarden_modbus_requests_total", Counter, &["bus"], "Modbus requests sent."),
    ("gridwarden_modbus_failures_total", Counter, &["bus", "why"], "Modbus requests that failed."),
    ("gridwarden_modbus_connects_total", Counter, &["bus"], "Times a Modbus line was opened."),
    ("gridwarden_modbus_polls_total", Counter, &["bus"], "Polls of a Modbus unit."),
    (
        "gridwarden_modbus_polls_skipped_total",
        Counter,
        &["bus"],
        "Polls left out because the driver was busy.",
    ),
    (
        "gridwarden_modbus_late_cycles_total",
        Counter,
        &["bus"],
        "Poll cycles that took longer than their time.",
    ),
    ("gridwarden_modbus_stray_bytes_total", Counter, &["bus"], "Bytes thrown away between Modbus answers."),
    // Engine and store.
    ("gridwarden_readings_total", Counter, &[], "Values committed to the journal."),
    (
        "gridwarden_reports_thinned_total",
        Counter,
        &[],
        "Reports left out because their device sent too many.",
    ),
    ("gridwarden_batches_total", Counter, &[], "Batches committed to the journal."),
    (
        "gridwarden_commit_failures_total",
        Kind::Counter,
        &[],
        "Tries to commit that failed; the driver tries again.",
    ),
    ("gridwarden_engine_seconds", Histogram, &[], "Time the engine took for one batch."),
    ("gridwarden_commit_seconds", Histogram, &[], "From asking for a commit until it was on disk."),
    (
        "gridwarden_store_commit_seconds",
        Histogram,
        &[],
        "Time of one transaction of the store, with its sync.",
    ),
    ("gridwarden_store_group_requests", Histogram, &[], "Requests that shared one transaction."),
    ("gridwarden_store_failures_total", Counter, &[], "Transactions that failed."),
    ("gridwarden_store_bytes", Gauge, &[], "Size of the store on disk."),
    ("gridwarden_journal_bytes", Gauge, &[], "Size of the journal."),
    ("gridwarden_journal_lag_batches", Gauge, &["consumer"], "Batches a consumer has not confirmed yet."),
    (
        "gridwarden_journal_dropped_total",
        Counter,
        &["consumer"],
        "Readings dropped before this consumer confirmed them.",
    ),
    ("gridwarden_journal_damaged_total", Counter, &[], "Damaged batches that were skipped."),
    ("gridwarden_history_damaged_total", Counter, &[], "Damaged pieces of the history that were skipped."),
    (
        "gridwarden_dead_letters_total",
        Counter,
        &["source"],
        "Messages that could not be used, kept with the reason.",
    ),
    ("gridwarden_dead_letters", Gauge, &[], "Dead letters kept."),
    (
        "gridwarden_dead_letters_dropped_total",
        Counter,
        &[],
        "Dead letters dropped because there were too many.",
    ),
    ("gridwarden_devices_online", Gauge, &[], "Devices heard within their time."),
    ("gridwarden_devices_silent", Gauge, &[], "Devices that should have been heard and were not."),
    // Alarms and alerts.
    ("gridwarden_alarms_open", Gauge, &["class"], "Alarms that are not closed."),
    ("gridwarden_alarms_total", Counter, &["class"], "Alarms raised."),
    ("gridwarden_outbox_rows", Gauge, &["class"], "Alerts waiting to be sent."),
    ("gridwarden_outbox_given_up_full_total", Counter, &[], "Alerts given up because too many were waiting."),
    (
        "gridwarden_alerts_total",
        Counter,
        &["channel", "outcome"],
        "Attempts to tell somebody: delivered, retry, gave_up.",
    ),
    ("gridwarden_alert_seconds", Histogram, &["channel"], "How long one attempt took."),
    (
        "gridwarden_alarm_publishes_total",
        Counter,
        &["outcome"],
        "Alarm changes sent over MQTT: confirmed, failed.",
    ),
    // InfluxDB.
    ("gridwarden_influx_flowing", Gauge, &[], "Whether the server takes lines: 1 or 0."),
    ("gridwarden_influx_lag_batches", Gauge, &[], "Batches the server has not confirmed yet."),
    ("gridwarden_influx_lag_seconds", Gauge, &[], "Age of the oldest batch the server has not confirmed."),
    ("gridwarden_influx_requests_total", Counter, &["result"], "Write requests by what came of them."),
    ("gridwarden_influx_lines_total", Counter, &[], "Lines the server confirmed."),
    ("gridwarden_influx_lines_given_up_total", Counter, &[], "Lines the server refused, now dead letters."),
    // The API.
    ("gridwarden_http_requests_total", Counter, &["route", "status"], "Requests answered."),
    ("gridwarden_http_refused_total", Counter, &[], "Requests without a valid token."),
    ("gridwarden_http_streams", Gauge, &[], "Open event streams."),
    ("gridwarden_http_connections_total", Counter, &[], "Connections accepted."),
];
