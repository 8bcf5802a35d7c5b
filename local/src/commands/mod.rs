//! One function per command.

mod feed;
mod jobs;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use crate::cli::{Cli, Command, TokenArgs};
use crate::client::Client;
use crate::demo;
use crate::failure::{Failure, OrFailure};
use crate::instance::{Extent, Instance, open_queues};
use crate::processes::Terminal;
use crate::project::{Options, Project};
use crate::simulate;
use crate::state::InstanceNote;
use crate::table;
use crate::terminal::{answer, note};

/// Does what the command line says.
///
/// # Errors
/// A sentence for the person at the terminal, and the exit code.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let options = Options {
        template: cli.template,
        state_dir: cli.state_dir,
        binaries: cli.binaries,
        parameters: cli.parameters.into_iter().collect(),
        no_build: cli.no_build,
    };
    let project = Arc::new(Project::load(&options).await?);
    match cli.command.unwrap_or(Command::Start) {
        Command::Start => start(project, cli.port, cli.verbose).await,
        Command::Invoke { function, event } => invoke(project, &function, &event).await,
        Command::Token(args) => token(&project, &args),
        Command::Migrate => migrate(&project).await,
        Command::Run {
            job,
            date,
            again,
            accept_empty,
        } => {
            let how = jobs::How {
                again,
                accepts_empty: accept_empty,
            };
            jobs::run(project, &job, date.as_deref(), how).await
        }
        Command::Backfill {
            job,
            from,
            to,
            dry_run,
            again,
        } => {
            let range = jobs::Range::parse(&from, &to)?;
            jobs::backfill(project, &job, range, dry_run, again).await
        }
        Command::Demo(args) => demo::run(project, &args).await,
        Command::DemoVendas(args) => demo::run_sales(project, &args).await,
        Command::DemoEventos(args) => demo::run_events(project, &args).await,
        Command::Simulate(args) => simulate::run(project, &args).await,
        Command::Send {
            queue,
            file,
            group_by,
        } => feed::send(project, &queue, &file, &group_by).await,
        Command::Produce { topic, key, file } => {
            feed::produce(project, &topic, key.as_deref(), &file).await
        }
    }
}

async fn start(project: Arc<Project>, port: u16, is_verbose: bool) -> Result<(), Failure> {
    let terminal = if is_verbose {
        Terminal::Everything
    } else {
        Terminal::Troubles
    };
    let instance = Instance::start(project, Extent::Everything { port }, terminal).await?;
    answer(&table::started(&instance));
    wait_for_the_end().await?;
    note("Stopping: what runs may finish. Ctrl-C again ends it at once.");
    tokio::select! {
        () = instance.stop() => note("Stopped."),
        ended = wait_for_the_end() => ended?,
    }
    Ok(())
}

async fn wait_for_the_end() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate =
        signal(SignalKind::terminate()).or_work(|| "signals cannot be caught".to_owned())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.or_work(|| "Ctrl-C".to_owned()),
        _terminated = terminate.recv() => Ok(()),
    }
}

async fn invoke(project: Arc<Project>, function: &str, event: &Path) -> Result<(), Failure> {
    let payload = read(event)?;
    serde_json::from_slice::<serde::de::IgnoredAny>(&payload)
        .or_mend(|| format!("{} is no JSON", event.display()))?;
    let invocation = with_functions(project, async |client: &Client| {
        client.invoke(function, payload.clone()).await
    });
    let invocation = invocation.await?;
    if !invocation.log.is_empty() {
        note(invocation.log.trim_end());
    }
    let mut output = std::io::stdout().lock();
    let _closed = output
        .write_all(&invocation.payload)
        .and_then(|()| output.write_all(b"\n"));
    if invocation.is_failure {
        return Err(Failure::work("the function failed; its error stands above"));
    }
    Ok(())
}

fn token(project: &Project, args: &TokenArgs) -> Result<(), Failure> {
    let routes = project.bundle.routes.iter();
    let known: BTreeSet<&str> = routes
        .flat_map(|route| route.scopes.iter().map(String::as_str))
        .filter(|scope| *scope != sam_template::PUBLIC)
        .collect();
    for scope in &args.scope {
        if !known.contains(scope.as_str()) {
            let known: Vec<&str> = known.iter().copied().collect();
            note(&format!(
                "no route asks for {scope}; there are {}",
                known.join(", ")
            ));
        }
    }
    answer(&project.token(&args.sub, &args.scope.join(" "), args.ttl)?);
    Ok(())
}

async fn migrate(project: &Project) -> Result<(), Failure> {
    for database in project.bundle.databases() {
        let applied = project.migrate(database).await?;
        let what = match applied.as_slice() {
            [] => "up to date".to_owned(),
            applied => format!("migrated: {}", applied.join(", ")),
        };
        answer(&format!("{}: {what}", project.database_name(database)));
    }
    project.migrate_documents().await
}

/// Gives `work` a client of the running instance, or of functions started for this command alone,
/// whose asynchronous work is then waited for.
///
/// # Errors
/// The work's own, or a sentence that says what to mend.
pub async fn with_functions<T>(
    project: Arc<Project>,
    work: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_instance(project, Extent::FunctionsOnly, work).await
}

/// The same with as much of the bundle as `extent` says, where nobody runs it yet.
async fn with_instance<T>(
    project: Arc<Project>,
    extent: Extent,
    work: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if let Some(note) = running(&project)? {
        let client = Client::new(project, note).await?;
        return work(&client).await;
    }
    let started = Instance::start(Arc::clone(&project), extent, Terminal::Troubles);
    let instance = started.await?;
    let client = Client::new(project, instance.note.clone()).await?;
    let result = work(&client).await;
    instance.settle().await;
    instance.stop().await;
    result
}

/// The note of the instance that holds the state folder; `None` when nobody does.
pub fn running(project: &Project) -> Result<Option<InstanceNote>, Failure> {
    if project.state.lock()?.is_some() {
        return Ok(None);
    }
    match project.state.note() {
        Some(note) => Ok(Some(note)),
        None => Err(Failure::mend(
            "another command is just starting or ending in this state folder: try again",
        )),
    }
}

/// A client for commands that only write to queues and topics, and whether an instance runs that
/// reads them; none is needed.
///
/// # Errors
/// A sentence that says what to mend.
pub async fn without_functions(project: Arc<Project>) -> Result<(Client, bool), Failure> {
    let is_running = running(&project)?;
    if is_running.is_none() {
        open_queues(&project).await?;
    }
    // One that a command started for its functions alone serves no HTTP and reads nothing.
    let is_read = is_running.as_ref().is_some_and(|note| note.http_port != 0);
    let nobody = InstanceNote {
        pid: 0,
        http_port: 0,
        internal_port: 0,
        run_key: String::new(),
        kafka_brokers: None,
    };
    let client = Client::new(project, is_running.unwrap_or(nobody)).await?;
    Ok((client, is_read))
}

/// A whole file; `-` is standard input.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let what = || format!("{} cannot be read", path.display());
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .or_mend(what)?;
        return Ok(bytes);
    }
    std::fs::read(path).or_mend(what)
}
