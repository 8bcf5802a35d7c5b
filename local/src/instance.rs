//! A running bundle: servers, pollers, schedules and triggers, started and stopped together.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use jiff::Timestamp;
use queues::EmbeddedQueues;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::bundle::Queue;
use crate::destinations::Destinations;
use crate::failure::{Failure, OrFailure};
use crate::invoker::Invoker;
use crate::journal::Journal;
use crate::processes::{Processes, Surroundings, Terminal, new_request_id};
use crate::project::Project;
use crate::queue_poller::{QueuePoller, take_back};
use crate::state::{InstanceLock, InstanceNote};
use crate::topics::embedded::EmbeddedTopics;
use crate::topics::{Group, read_embedded};
use crate::{folder_trigger, gateway, invoke_api, runtime_api, schedules};

/// Running work gets so long to finish when the instance stops.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// How much of the bundle runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything, HTTP on this port (0: a free one).
    Everything {
        /// The port.
        port: u16,
    },
    /// Functions only, for one command: nothing listens to HTTP, queues, schedules or files.
    FunctionsOnly,
}

/// A running bundle.
pub struct Instance {
    /// The project that it runs.
    pub project: Arc<Project>,
    /// How it is reached.
    pub note: InstanceNote,
    invoker: Arc<Invoker>,
    processes: Arc<Processes>,
    stopping: watch::Sender<bool>,
    triggers: JoinSet<()>,
    servers: Vec<JoinHandle<()>>,
    _lock: InstanceLock,
}

impl Instance {
    /// Takes the state folder, builds, migrates and starts.
    ///
    /// # Errors
    /// A sentence that says what to mend.
    pub async fn start(
        project: Arc<Project>,
        extent: Extent,
        terminal: Terminal,
    ) -> Result<Self, Failure> {
        let lock = project.state.lock_or_refuse()?;
        let http = match extent {
            Extent::Everything { port } => Some(listen(port).await?),
            Extent::FunctionsOnly => None,
        };
        project.build()?;
        for database in project.bundle.databases() {
            project.migrate(database).await?;
        }
        project.migrate_documents().await?;
        let state_dir = project.state.path().to_owned();
        let queues = open_queues(&project).await?;
        let internal = listen(0).await?;
        let note = InstanceNote {
            pid: std::process::id(),
            http_port: http.as_ref().map_or(0, |(_, port)| *port),
            internal_port: internal.1,
            run_key: format!("LOCAL{}", new_request_id().replace('-', "").to_uppercase()),
            kafka_brokers: project
                .kafka
                .as_ref()
                .map(|kafka| kafka.brokers().to_owned()),
        };
        let surroundings = Surroundings {
            state_dir: state_dir.clone(),
            settings_file: project.settings.file.clone(),
            internal_address: SocketAddr::from((Ipv4Addr::LOCALHOST, internal.1)),
            run_key: note.run_key.clone(),
            database_overrides: project.settings.database_overrides.clone(),
        };
        let processes = Processes::new(&project.bundle.functions, surroundings, terminal);
        let journal = Journal::open(&state_dir)
            .await
            .or_mend(|| cannot_use("local.sqlite"))?;
        let invoker = Invoker::start(
            Arc::clone(&project.bundle),
            Arc::clone(&processes),
            journal,
            Destinations::new(queues.clone(), &state_dir),
            note.run_key.clone(),
        );
        let invoker = invoker.await.or_mend(|| cannot_use("local.sqlite"))?;
        let (stopping, _) = watch::channel(false);
        let mut instance = Self {
            project,
            note,
            invoker,
            processes,
            stopping,
            triggers: JoinSet::new(),
            servers: Vec::new(),
            _lock: lock,
        };
        instance.serve_internally(internal.0);
        if let Some((listener, port)) = http {
            instance.start_triggers(&queues).await?;
            let processes = Arc::clone(&instance.processes);
            let stopping = instance.stopping.subscribe();
            instance.triggers.spawn(processes.end_idle_ones(stopping));
            instance.serve_http(listener, port);
        }
        instance.project.state.announce(&instance.note)?;
        Ok(instance)
    }

    /// Who invokes functions here.
    pub fn invoker(&self) -> &Arc<Invoker> {
        &self.invoker
    }

    fn serve_internally(&mut self, listener: TcpListener) {
        let router = runtime_api::router(Arc::clone(&self.processes))
            .merge(invoke_api::router(Arc::clone(&self.invoker)));
        self.servers.push(tokio::spawn(serve(
            listener,
            router,
            self.stopping.subscribe(),
            false,
        )));
    }

    fn serve_http(&mut self, listener: TcpListener, port: u16) {
        let router = gateway::router(
            Arc::clone(&self.project.bundle),
            Arc::clone(&self.invoker),
            port,
        );
        self.servers.push(tokio::spawn(serve(
            listener,
            router,
            self.stopping.subscribe(),
            true,
        )));
    }

    async fn start_triggers(&mut self, queues: &EmbeddedQueues) -> Result<(), Failure> {
        let bundle = Arc::clone(&self.project.bundle);
        let state_dir = self.project.state.path().to_owned();
        for source in bundle.queue_sources.clone() {
            let Some(queue) = bundle.queues.get(&source.queue).cloned() else {
                continue;
            };
            take_back(queues, &queue)
                .await
                .or_mend(|| cannot_use("filas.sqlite"))?;
            // A connection of its own: a slow queue holds up no other.
            let queues = open_queue_file(&self.project).await?;
            let invoker = Arc::clone(&self.invoker);
            let stopping = self.stopping.subscribe();
            let poller = QueuePoller::new(source, queue, queues, invoker, stopping);
            self.triggers.spawn(poller.run());
        }
        for schedule in bundle.schedules.clone() {
            let stopping = self.stopping.subscribe();
            self.triggers.spawn(schedules::run(
                schedule,
                Arc::clone(&self.invoker),
                stopping,
            ));
        }
        let mut by_bucket: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for source in bundle.folder_sources.clone() {
            by_bucket
                .entry(source.bucket.clone())
                .or_default()
                .push(source);
        }
        for bucket in &bundle.buckets {
            let folder = state_dir.join("arquivos").join(bucket);
            std::fs::create_dir_all(&folder).or_mend(|| cannot_use("arquivos"))?;
            let Some(sources) = by_bucket.remove(bucket) else {
                continue;
            };
            let invoker = Arc::clone(&self.invoker);
            let stopping = self.stopping.subscribe();
            let watching = folder_trigger::run(bucket.clone(), sources, folder, invoker, stopping);
            self.triggers.spawn(watching);
        }
        self.read_topics().await
    }

    async fn read_topics(&mut self) -> Result<(), Failure> {
        let sources = &self.project.bundle.topic_sources;
        let Some(connection) = &self.project.kafka else {
            let log = EmbeddedTopics::open(self.project.state.path()).await;
            let log = log.or_mend(|| cannot_use("kafka.sqlite"))?;
            let stopping = self.stopping.subscribe();
            for source in sources {
                read_embedded(&log, source, &self.invoker, &stopping, &mut self.triggers);
            }
            return Ok(());
        };
        for source in sources {
            let group = Group::join(connection, source, &self.invoker);
            let group = group.or_mend(|| "KAFKA_BROKERS".to_owned())?;
            self.triggers.spawn(group.run(self.stopping.subscribe()));
        }
        Ok(())
    }

    /// Waits until asynchronous invocations are done, for commands that end afterwards.
    pub async fn settle(&self) {
        while self.invoker.outstanding() > 0 {
            tokio::select! {
                () = self.invoker.activity().notified() => {}
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    }

    /// Takes nothing new, lets what runs finish, then ends every process.
    pub async fn stop(mut self) {
        let _nobody_listens = self.stopping.send(true);
        let all_finished = async { while self.triggers.join_next().await.is_some() {} };
        let _timed_out = tokio::time::timeout(STOP_PATIENCE, all_finished).await;
        self.processes.stop(STOP_PATIENCE).await;
        for server in &self.servers {
            server.abort();
        }
    }
}

async fn serve(
    listener: TcpListener,
    router: Router,
    mut stopping: watch::Receiver<bool>,
    is_graceful: bool,
) {
    // Small answers must not wait for the other side's acknowledgement.
    let listener = listener.tap_io(|stream| {
        let _slower = stream.set_nodelay(true);
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service);
    let served = if is_graceful {
        let stopped = async move {
            let _sender_gone = stopping.wait_for(|is_stopping| *is_stopping).await;
        };
        server.with_graceful_shutdown(stopped).await
    } else {
        server.await
    };
    if let Err(error) = served {
        crate::terminal::note(&format!("a server ended: {error}"));
    }
}

async fn listen(port: u16) -> Result<(TcpListener, u16), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        let reason = match error.kind() {
            std::io::ErrorKind::AddrInUse => "another program listens there".to_owned(),
            _ => error.to_string(),
        };
        Failure::mend(format!(
            "port {port} cannot be used ({reason}): choose another with --port, or 0 for a free one"
        ))
    })?;
    let address = listener.local_addr().or_work(|| "the port".to_owned())?;
    Ok((listener, address.port()))
}

/// Opens the queue file without changing it.
///
/// # Errors
/// A sentence that says what to mend.
pub async fn open_queue_file(project: &Project) -> Result<EmbeddedQueues, Failure> {
    let path = project.state.path().join("filas.sqlite");
    EmbeddedQueues::open(&path)
        .await
        .or_mend(|| cannot_use("filas.sqlite"))
}

/// Opens the queue file and defines the template's queues.
///
/// # Errors
/// A sentence that says what to mend.
pub async fn open_queues(project: &Project) -> Result<EmbeddedQueues, Failure> {
    let queues = open_queue_file(project).await?;
    let definitions: Vec<_> = project
        .bundle
        .queues
        .values()
        .map(|queue: &Queue| queue.definition.clone())
        .collect();
    queues
        .define(&definitions)
        .await
        .or_mend(|| "the template's queues".to_owned())?;
    Ok(queues)
}

fn cannot_use(file: &str) -> String {
    format!("{file} in the state folder cannot be used (another --state-dir begins afresh)")
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
