//! What can't be read goes to dead letters alone, sealed: nobody reads its values there, and
//! nothing is lost, since an operator's command opens it again.

use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use contracts::{envelope::Claim, fields::BadMessage};
use domain::time::UtcMillis;
use serde::{Deserialize, Serialize};

use crate::FetchFailed;

const NONCE_BYTES: usize = 24;
/// Bytes of a message in one letter: sealed and in base64 they stay below the 256 KiB that the
/// smallest of SQS's limits allows, so that no message is too large to be buried.
const PART_BYTES: usize = 180 * 1024;

/// What lies outside a consumer's messages: where dead letters go, and values that were too large.
pub trait DeadLetters {
    /// The key that seals them.
    fn seal_key(&self) -> &SealKey;

    /// Sends one.
    ///
    /// # Errors
    /// When it did not arrive: the message is then retried as a whole.
    fn send_dead_letter(&self, body: String) -> impl Future<Output = Result<(), SendFailed>>;

    /// Fetches a value of at most `claim.bytes` bytes from where the bridge put it; a consumer
    /// whose messages never hold claims finds nothing.
    ///
    /// # Errors
    /// Says whether a later attempt may find it.
    fn fetch_claim(&self, _: &Claim) -> impl Future<Output = Result<Vec<u8>, FetchFailed>> {
        async { Err(FetchFailed::Gone) }
    }
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
    /// Which part of the message this is, from 1, where one letter does not hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parte: Option<usize>,
    /// How many parts there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partes: Option<usize>,
    /// When it was refused.
    pub recebido_em: String,
    /// The original, or its part, sealed and in base64.
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
    /// Seals a message that can't be read: in one letter, or in parts where it is large.
    ///
    /// # Errors
    /// See [`SealKey::seal`].
    pub fn seal_in_parts(
        key: &SealKey,
        function: &str,
        message_id: &str,
        group: Option<&str>,
        why: &BadMessage,
        content: &[u8],
        now: UtcMillis,
    ) -> Result<Vec<Self>, SendFailed> {
        let whole = Self::seal(key, function, message_id, group, why, &[], now)?;
        // An empty message has a letter too.
        let count = content.len().div_ceil(PART_BYTES).max(1);
        let parts = (0..count).map(|place| {
            let rest = content.get(place * PART_BYTES..).unwrap_or_default();
            let mut letter = whole.clone();
            letter.parte = (count > 1).then_some(place + 1);
            letter.partes = (count > 1).then_some(count);
            letter.hold(rest.get(..PART_BYTES).unwrap_or(rest), key)?;
            Ok(letter)
        });
        parts.collect()
    }

    /// Seals a message that one letter holds.
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
        let mut letter = Self {
            motivo: why.code.to_owned(),
            campo: why.field.map(str::to_owned),
            funcao: function.to_owned(),
            id_mensagem: message_id.to_owned(),
            grupo: group.map(str::to_owned),
            parte: None,
            partes: None,
            recebido_em: now.to_string(),
            conteudo_cifrado: String::new(),
        };
        letter.hold(content, key)?;
        Ok(letter)
    }

    fn hold(&mut self, content: &[u8], key: &SealKey) -> Result<(), SendFailed> {
        self.conteudo_cifrado = key.seal(content, &self.context())?;
        Ok(())
    }

    /// The original message, or the part of it that this letter holds.
    #[must_use]
    pub fn open(&self, key: &SealKey) -> Option<Vec<u8>> {
        key.open(&self.conteudo_cifrado, &self.context())
    }

    /// A part opens in its own place only.
    fn context(&self) -> String {
        match (self.parte, self.partes) {
            (Some(part), Some(parts)) => format!("{} {part}/{parts}", self.id_mensagem),
            _ => self.id_mensagem.clone(),
        }
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
        let why = BadMessage::NOT_JSON;
        let letter = DeadLetter::seal(&key, "f", "m1", None, &why, content, now).unwrap();
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

    #[test]
    fn a_message_too_large_for_one_letter_is_sealed_in_parts_that_keep_their_places() {
        let key = SealKey::new(&[7; 32]).unwrap();
        let now = UtcMillis::new(0).unwrap();
        let content: Vec<u8> = (0..1_048_576_u32).map(|n| n.to_le_bytes()[1]).collect();
        let why = BadMessage::NOT_JSON;
        let letters =
            DeadLetter::seal_in_parts(&key, "f", "m1", None, &why, &content, now).unwrap();
        let places: Vec<_> = letters.iter().map(|one| (one.parte, one.partes)).collect();
        let expected: Vec<_> = (1..=6).map(|part| (Some(part), Some(6))).collect();
        assert_eq!(places, expected);
        for letter in &letters {
            assert!(serde_json::to_string(letter).unwrap().len() < 256 * 1024);
        }
        let opened = letters.iter().map(|one| one.open(&key).unwrap());
        assert_eq!(opened.collect::<Vec<_>>().concat(), content);
        let mut moved = letters[0].clone();
        moved.parte = Some(2);
        assert_eq!(moved.open(&key), None);
    }
}
