//! stub
pub const COMMIT_SECONDS: &str = "gridwarden_commit_seconds";
pub const COMMIT_FAILURES: &str = "gridwarden_commit_failures_total";
