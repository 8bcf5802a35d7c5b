//! Starts the readers of topics: of every partition of the embedded log, or of those that a
//! cluster's group gives to this instance.

use std::sync::Arc;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::cluster::Connection;
use super::embedded::{EmbeddedPartition, EmbeddedTopics, PARTITIONS};
use super::member::{Given, Member, MemberClient, MemberPartition};
use super::poller::TopicPoller;
use crate::bundle::TopicSource;
use crate::invoker::Invoker;

/// Starts a reader for each partition of the embedded log.
pub fn read_embedded(
    log: &EmbeddedTopics,
    source: &TopicSource,
    invoker: &Arc<Invoker>,
    stopping: &watch::Receiver<bool>,
    triggers: &mut JoinSet<()>,
) {
    for partition in 0..PARTITIONS {
        let poller = TopicPoller {
            source: source.clone(),
            log: EmbeddedPartition::new(log, source, partition),
            bootstrap_servers: crate::events::kafka::BOOTSTRAP_SERVERS.to_owned(),
            invoker: Arc::clone(invoker),
            stopping: stopping.clone(),
        };
        triggers.spawn(poller.run());
    }
}

/// One mapping's member of its group, with the readers of its partitions.
pub struct Group {
    source: TopicSource,
    brokers: String,
    client: Arc<MemberClient>,
    given: mpsc::UnboundedReceiver<Given>,
    leave: watch::Sender<bool>,
    /// Closed when the polling thread has left the group.
    left: oneshot::Receiver<()>,
    invoker: Arc<Invoker>,
}

impl Group {
    /// Joins the mapping's group.
    ///
    /// # Errors
    /// When Kafka's client refuses the settings.
    pub fn join(
        connection: &Connection,
        source: &TopicSource,
        invoker: &Arc<Invoker>,
    ) -> Result<Self, KafkaError> {
        let (give, given) = mpsc::unbounded_channel();
        let (leave, leaving) = watch::channel(false);
        let member = Member::join(connection, source, give, leaving)?;
        let client = Arc::clone(&member.client);
        let (leaves, left) = oneshot::channel();
        // No task of the runtime: a broker that is away must not hold up the end of the program.
        std::thread::spawn(move || {
            member.poll();
            drop(leaves);
        });
        Ok(Self {
            source: source.clone(),
            brokers: connection.brokers().to_owned(),
            client,
            given,
            leave,
            left,
            invoker: Arc::clone(invoker),
        })
    }

    /// Reads until the instance stops: what is being handled ends, is committed, and the member
    /// leaves.
    pub async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut readers = JoinSet::new();
        loop {
            tokio::select! {
                given = self.given.recv() => match given {
                    Some(given) => {
                        let log = MemberPartition::new(&self.client, &self.source.topic, &given);
                        let poller = TopicPoller {
                            source: self.source.clone(),
                            log,
                            bootstrap_servers: self.brokers.clone(),
                            invoker: Arc::clone(&self.invoker),
                            stopping: given.stopping,
                        };
                        readers.spawn(poller.run());
                    }
                    None => break,
                },
                Some(_ended) = readers.join_next() => {}
                _stopping = stopping.wait_for(|is_stopping| *is_stopping) => break,
            }
        }
        self.client.context().stop_all();
        while readers.join_next().await.is_some() {}
        // What was given and never begun is nobody's work.
        self.given.close();
        while self.given.try_recv().is_ok() {}
        self.leave.send_replace(true);
        let _closed = self.left.await;
    }
}
