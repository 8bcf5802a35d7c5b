//! What can't be read goes to dead letters alone, sealed: nobody reads its values there, and
//! nothing is lost, since an operator's command opens it again.

use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use contracts::fields::BadMessage;
use domain::time::UtcMillis;
use serde::{Deserialize, Serialize};

const NONCE_BYTES: usize = 24;

/// Where dead letters go.
pub trait DeadLetters {
    /// The key that seals them.
    fn seal_key(&self) -> &SealKey;

    /// Sends one.
    ///
    /// # Errors
    /// When it did not arrive: the message is then retried as a whole.
    fn send_dead_letter(&self, body: String) -> impl Future<Output = Result<(), SendFailed>>;
}

/// A dead letter did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the dead letter could not be sent")]
pub struct SendFailed;

/// 32 bytes that seal and open dead letters (XChaCha20-Poly1305).
#[derive(Clone)]
pub struct SealKey([u8; 32]);

/// A dead letter as it lies in its queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Why: a stable code.
    pub motivo: String,
    /// The field to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campo: Option<String>,
    /// The function that refused it.
    pub funcao: String,
    /// The queue's id of the message, or the record's coordinates.
    pub id_mensagem: String,
    /// The FIFO group to send it back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grupo: Option<String>,
    /// When it was refused.
    pub recebido_em: String,
    /// The original, sealed and in base64.
    pub conteudo_cifrado: String,
}

impl SealKey {
    /// From the first 32 bytes of a key.
    #[must_use]
    pub fn new(key: &[u8]) -> Option<Self> {
        key.first_chunk().map(|bytes| Self(*bytes))
    }

    /// Seals `content`; `context` must be the same on opening.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn seal(&self, content: &[u8], context: &str) -> Result<String, SendFailed> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| SendFailed)?;
        let payload = Payload {
            msg: content,
            aad: context.as_bytes(),
        };
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SendFailed)?;
        Ok(STANDARD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what [`Self::seal`] made; `None` with another key or context, or when it was changed.
    #[must_use]
    pub fn open(&self, sealed: &str, context: &str) -> Option<Vec<u8>> {
        let bytes = STANDARD.decode(sealed).ok()?;
        let (nonce, content) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload {
            msg: content,
            aad: context.as_bytes(),
        };
        self.cipher().decrypt(&XNonce::from(*nonce), payload).ok()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.0.into())
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SealKey(…)")
    }
}

impl DeadLetter {
    /// Seals a message that can't be read.
    ///
    /// # Errors
    /// See [`SealKey::seal`].
    pub fn seal(
        key: &SealKey,
        function: &str,
        message_id: &str,
        group: Option<&str>,
        why: &BadMessage,
        content: &[u8],
        now: UtcMillis,
    ) -> Result<Self, SendFailed> {
        Ok(Self {
            motivo: why.code.to_owned(),
            campo: why.field.map(str::to_owned),
            funcao: function.to_owned(),
            id_mensagem: message_id.to_owned(),
            grupo: group.map(str::to_owned),
            recebido_em: now.to_string(),
            conteudo_cifrado: key.seal(content, message_id)?,
        })
    }

    /// The original message.
    #[must_use]
    pub fn open(&self, key: &SealKey) -> Option<Vec<u8>> {
        key.open(&self.conteudo_cifrado, &self.id_mensagem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_letter_opens_with_its_key_only_and_shows_no_value() {
        let key = SealKey::new(&[7; 32]).unwrap();
        let now = UtcMillis::new(0).unwrap();
        let content = br#"{"cpf":"52998224725"}"#;
        let letter =
            DeadLetter::seal(&key, "f", "m1", None, &BadMessage::NOT_JSON, content, now).unwrap();
        assert!(
            !serde_json::to_string(&letter)
                .unwrap()
                .contains("52998224725")
        );
        assert_eq!(letter.open(&key).unwrap(), content);
        assert_eq!(letter.open(&SealKey::new(&[8; 32]).unwrap()), None);
        let moved = DeadLetter {
            id_mensagem: "m2".to_owned(),
            ..letter
        };
        assert_eq!(moved.open(&key), None);
        assert!(SealKey::new(&[7; 31]).is_none());
    }
}
