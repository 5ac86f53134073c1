//! The holder's side of a daemon's requests: its keys, and the proofs that it holds them. What is signed, the
//! verifying side says (`request`).

use postern_domain::InstanceId;
use postern_sshkey::{PrivateKey, sshsig};

use crate::request::{
    DaemonKind, IDENTITY_NAMESPACE, REQUEST_NAMESPACE, identity_statement, request_statement,
};
use crate::{KeyError, LeafKey};

/// Signs [`identity_statement`].
///
/// # Errors
/// Fails if the key cannot sign.
pub fn sign_identity_statement(
    key: &PrivateKey,
    instance: InstanceId,
    csr: &[u8],
) -> Result<String, KeyError> {
    sign(key, IDENTITY_NAMESPACE, &identity_statement(instance, csr))
}

fn sign(key: &PrivateKey, namespace: &str, message: &[u8]) -> Result<String, KeyError> {
    sshsig::sign(key, namespace, message).map_err(|e| KeyError::Request(e.to_string()))
}

/// A daemon's two keys.
#[derive(Debug)]
pub struct DaemonKeys {
    /// The TLS key.
    pub tls: LeafKey,
    /// The SSH key.
    pub ssh: PrivateKey,
}

/// What a daemon sends to have its keys certified.
#[derive(Debug, Clone)]
pub struct DaemonRequests {
    /// The PKCS #10 request, PEM.
    pub csr: String,
    /// The SSH public key, one line.
    pub ssh_key: String,
    /// The signature by the SSH key, armored.
    pub ssh_proof: String,
}

impl DaemonKeys {
    /// Makes both keys.
    ///
    /// # Errors
    /// Fails when the system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self {
            tls: LeafKey::generate()?,
            ssh: PrivateKey::generate().map_err(|_| KeyError::Randomness)?,
        })
    }

    /// Makes the requests of a daemon of this kind.
    ///
    /// # Errors
    /// Fails if the SSH key cannot sign.
    pub fn requests(&self, instance: InstanceId, kind: DaemonKind) -> Result<DaemonRequests, KeyError> {
        let statement = request_statement(instance, kind, self.tls.csr_der());
        Ok(DaemonRequests {
            csr: self.tls.csr_pem(),
            ssh_key: self.ssh.public_key().to_openssh(),
            ssh_proof: sign(&self.ssh, REQUEST_NAMESPACE, &statement)?,
        })
    }
}
