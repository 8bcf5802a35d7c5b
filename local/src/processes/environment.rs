//! The environment of a function process: the template's and Lambda's own, and nothing inherited.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::bundle::{Function, LOCAL_REGION};
use crate::settings::DatabaseOverrides;

/// What every function process of this instance is told.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The absolute state folder.
    pub state_dir: PathBuf,
    /// The settings file that functions read instead of Secrets Manager.
    pub settings_file: PathBuf,
    /// Where the Runtime API and the Invoke API listen.
    pub internal_address: SocketAddr,
    /// The access key that only this instance's processes know; the Invoke API asks for it.
    pub run_key: String,
    /// The terminal's URLs of databases by their keys, which win over the settings file.
    pub database_overrides: DatabaseOverrides,
}

/// The environment of one process: what the template says, then what Lambda sets (developer
/// guide, "Defined runtime environment variables"), then what a laptop adds. Nothing of the
/// terminal's own environment goes through, so no real credential can.
pub fn environment_of(
    function: &Function,
    surroundings: &Surroundings,
    process_id: &str,
) -> BTreeMap<String, String> {
    let mut environment = function.environment.clone();
    let address = surroundings.internal_address;
    let lambda = [
        ("AWS_ACCESS_KEY_ID", surroundings.run_key.clone()),
        ("AWS_DEFAULT_REGION", LOCAL_REGION.to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("AWS_ENDPOINT_URL_LAMBDA", format!("http://{address}")),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023".to_owned()),
        (
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            function.memory_mib.to_string(),
        ),
        ("AWS_LAMBDA_FUNCTION_NAME", function.id.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        (
            "AWS_LAMBDA_LOG_GROUP_NAME",
            format!("/aws/lambda/{}", function.id),
        ),
        ("AWS_LAMBDA_LOG_STREAM_NAME", process_id.to_owned()),
        (
            "AWS_LAMBDA_RUNTIME_API",
            format!("http://{address}/.rt/{}/{process_id}", function.id),
        ),
        ("AWS_REGION", LOCAL_REGION.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "only-for-this-machine".to_owned()),
        (
            "FEIRA_DOTENV",
            surroundings.settings_file.display().to_string(),
        ),
        (
            "FEIRA_STATE_DIR",
            surroundings.state_dir.display().to_string(),
        ),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("STAGE", "dev".to_owned()),
        ("TZ", ":UTC".to_owned()),
        ("_HANDLER", "bootstrap".to_owned()),
    ];
    environment.extend(
        lambda
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    let overrides = surroundings.database_overrides.iter();
    environment.extend(overrides.map(|(key, url)| ((*key).to_owned(), url.clone())));
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::AsyncFailure;

    #[test]
    fn a_function_gets_the_template_and_lambda_and_nothing_else() {
        let function = Function {
            id: "EchoFunction".to_owned(),
            binary: PathBuf::from("echo"),
            timeout_ms: 3_000,
            memory_mib: 256,
            max_processes: 1,
            environment: BTreeMap::from([
                ("STAGE".to_owned(), "prod".to_owned()),
                ("TABLE".to_owned(), "t".to_owned()),
            ]),
            on_async_failure: AsyncFailure::default(),
        };
        let surroundings = Surroundings {
            state_dir: PathBuf::from("/s"),
            settings_file: PathBuf::from("/s/.env"),
            internal_address: SocketAddr::from(([127, 0, 0, 1], 9)),
            run_key: "LOCALKEY".to_owned(),
            database_overrides: DatabaseOverrides::new(),
        };
        let environment = environment_of(&function, &surroundings, "p1");
        assert_eq!(environment["TABLE"], "t");
        assert_eq!(environment["STAGE"], "dev");
        assert_eq!(
            environment["AWS_LAMBDA_RUNTIME_API"],
            "http://127.0.0.1:9/.rt/EchoFunction/p1"
        );
        assert_eq!(environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "256");
        assert!(!environment.contains_key("HOME"));
        assert!(!environment.contains_key("AWS_PROFILE"));
    }
}
