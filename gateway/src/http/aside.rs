//! Work that keeps a processor or a disk busy, away from the threads that answer.

use super::problem::ApiError;

/// Waits for the work. An error only when it panicked.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|fault| ApiError::Internal(fault.into()))
}
