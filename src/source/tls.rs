//! The TLS set-up that all clients of a process share.
//!
//! Reading the system's root certificates takes milliseconds, and a check of hundreds of channels would do it hundreds of
//! times a minute. So the first client reads them, for all. Connections, limits and credentials stay each client's own.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::{Error, Kind, Result};

static SHARED: OnceLock<ClientConfig> = OnceLock::new();

/// The set-up, with the root certificates as the first call found them.
///
/// # Errors
/// [`Kind::Io`] if the system has no certificates; the next call looks again.
pub(super) fn shared() -> Result<ClientConfig> {
    if let Some(config) = SHARED.get() {
        return Ok(config.clone());
    }
    let made = make().map_err(|e| {
        Error::new(Kind::Io, "cannot set up TLS").caused_by(e).hint("install ca-certificates")
    })?;
    Ok(SHARED.get_or_init(|| made).clone())
}

fn make() -> std::result::Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = versions.with_platform_verifier()?.with_no_client_auth();
    // The HTTP client speaks both, and leaves the offer to whoever brings the set-up (RFC 7301).
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_read_once_for_all_clients() {
        let (one, other) = (shared().unwrap(), shared().unwrap());
        assert!(Arc::ptr_eq(one.crypto_provider(), other.crypto_provider()), "made twice");
        assert_eq!(other.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    }
}
