//! tls stub
pub fn client_config(
    _: &crate::config::ClientTls,
    _: &std::path::Path,
) -> anyhow::Result<std::sync::Arc<rustls::ClientConfig>> {
    anyhow::bail!("stub")
}
