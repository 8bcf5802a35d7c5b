//! Dead letters as the functions send them.

use std::cell::RefCell;

use lambda_kit::dead_letter::{DeadLetter, SendFailed};
use lambda_kit::{DeadLetters, SealKey};

/// Keeps the letters' bodies as they would lie in the queue.
pub struct Letters {
    key: SealKey,
    bodies: RefCell<Vec<String>>,
}

impl Letters {
    pub fn new() -> Self {
        Self {
            key: SealKey::new(&[9; 32]).unwrap(),
            bodies: RefCell::default(),
        }
    }

    /// Takes the letters out.
    pub fn take(&self) -> Vec<String> {
        self.bodies.take()
    }

    /// The message that these bodies hold.
    pub fn opened(&self, bodies: &[String]) -> Vec<u8> {
        let open = |body: &String| {
            let letter: DeadLetter = serde_json::from_str(body).unwrap();
            letter.open(&self.key).expect("opens")
        };
        bodies.iter().map(open).collect::<Vec<_>>().concat()
    }
}

impl DeadLetters for Letters {
    fn seal_key(&self) -> &SealKey {
        &self.key
    }

    async fn send_dead_letter(&self, body: String) -> Result<(), SendFailed> {
        self.bodies.borrow_mut().push(body);
        Ok(())
    }
}
