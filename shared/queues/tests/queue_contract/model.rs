//! The embedded queue's specification in its plainest form.

pub const VISIBILITY_MS: i64 = 30_000;
pub const RETENTION_MS: i64 = 3_600_000;
pub const MAXIMUM_RECEIVES: i64 = 2;

#[derive(Clone, Debug)]
pub enum Operation {
    /// Groups of the messages; the delay in seconds is of the standard queue only.
    Send(Vec<(u8, u32)>),
    Receive {
        dead: bool,
        max: u32,
    },
    /// Positions among the messages of the source queue that have a receipt.
    Delete(Vec<usize>),
    ChangeVisibility {
        position: usize,
        seconds: u32,
    },
    Redrive,
    Pass(i64),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    pub body: String,
    pub group: Option<String>,
    pub receives: i64,
    pub visible_at_ms: i64,
    pub received: bool,
    pub sent_ms: i64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub fifo: bool,
    pub source: Vec<Held>,
    pub dead: Vec<Held>,
    /// How many messages were ever sent; a body is its message's number.
    pub sent: u64,
}

impl Model {
    /// What a receive hands out; the model changes as the queue must.
    pub fn receive(&mut self, dead: bool, max: u32, now_ms: i64) -> Vec<String> {
        let held = if dead {
            &mut self.dead
        } else {
            &mut self.source
        };
        held.retain(|message| message.sent_ms >= now_ms - RETENTION_MS);
        let mut taken: Vec<String> = Vec::new();
        let mut buried = Vec::new();
        let mut position = 0;
        while position < held.len() && taken.len() < max as usize {
            let message = held[position].clone();
            let blocked = self.fifo
                && held.iter().enumerate().any(|(other, b)| {
                    b.group == message.group
                        && b.visible_at_ms > now_ms
                        && (b.received || other < position)
                        && !taken.contains(&b.body)
                });
            if message.visible_at_ms > now_ms || blocked {
                position += 1;
            } else if !dead && message.receives >= MAXIMUM_RECEIVES {
                let gone = held.remove(position);
                let fresh = Held {
                    receives: 0,
                    visible_at_ms: now_ms,
                    received: false,
                    ..gone
                };
                buried.push(fresh);
            } else {
                held[position].receives += 1;
                held[position].received = true;
                held[position].visible_at_ms = now_ms + VISIBILITY_MS;
                taken.push(message.body);
                position += 1;
            }
        }
        self.dead.extend(buried);
        self.dead.sort_by_key(|message| number(&message.body));
        taken
    }

    pub fn apply(&mut self, operation: &Operation, now_ms: i64) -> Vec<String> {
        match operation {
            Operation::Send(messages) => {
                for (group, delay) in messages {
                    let delay_ms = if self.fifo {
                        0
                    } else {
                        i64::from(*delay) * 1_000
                    };
                    self.source.push(Held {
                        body: format!("m{}", self.sent),
                        group: self.fifo.then(|| format!("g{group}")),
                        receives: 0,
                        visible_at_ms: now_ms + delay_ms,
                        received: false,
                        sent_ms: now_ms,
                    });
                    self.sent += 1;
                }
                Vec::new()
            }
            Operation::Receive { dead, max } => self.receive(*dead, *max, now_ms),
            Operation::Delete(positions) => {
                let bodies = self.received_bodies();
                let gone: Vec<&String> =
                    positions.iter().filter_map(|p| pick(&bodies, *p)).collect();
                self.source.retain(|message| !gone.contains(&&message.body));
                Vec::new()
            }
            Operation::ChangeVisibility { position, seconds } => {
                let bodies = self.received_bodies();
                if let Some(body) = pick(&bodies, *position) {
                    let message = self.source.iter_mut().find(|m| &m.body == body).unwrap();
                    if message.visible_at_ms > now_ms {
                        message.visible_at_ms = now_ms + i64::from(*seconds) * 1_000;
                    }
                }
                Vec::new()
            }
            Operation::Redrive => {
                let (back, stay): (Vec<Held>, Vec<Held>) = self
                    .dead
                    .drain(..)
                    .partition(|message| message.visible_at_ms <= now_ms);
                self.dead = stay;
                self.source.extend(back.into_iter().map(|message| Held {
                    receives: 0,
                    visible_at_ms: now_ms,
                    received: false,
                    sent_ms: now_ms,
                    ..message
                }));
                Vec::new()
            }
            Operation::Pass(_) => Vec::new(),
        }
    }

    pub fn received_bodies(&self) -> Vec<String> {
        self.source
            .iter()
            .filter(|m| m.received)
            .map(|m| m.body.clone())
            .collect()
    }
}

pub fn pick(bodies: &[String], position: usize) -> Option<&String> {
    bodies.get(position.checked_rem(bodies.len())?)
}

pub fn number(body: &str) -> u64 {
    body[1..].parse().unwrap()
}
