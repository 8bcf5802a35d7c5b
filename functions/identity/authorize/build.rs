//! Writes the table route → scopes from template.yaml, the only place where scopes stand.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use sam_template::Template;

const TEMPLATE: &str = "../../../template.yaml";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed={TEMPLATE}");
    match write_table() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("cargo::error={reason}");
            ExitCode::FAILURE
        }
    }
}

fn write_table() -> Result<(), String> {
    let template = Template::read(Path::new(TEMPLATE)).map_err(|error| error.to_string())?;
    let mut routes: Vec<(String, Vec<String>)> = template
        .routes
        .iter()
        .map(|route| (route.key(), route.scopes.clone()))
        .collect();
    routes.sort();
    let mut table = format!("static SCOPES: [(&str, &[&str]); {}] = [\n", routes.len());
    for (key, scopes) in &routes {
        writeln!(table, "    ({key:?}, &{scopes:?}),").map_err(|error| error.to_string())?;
    }
    table.push_str("];\n");
    let folder = std::env::var("OUT_DIR").map_err(|error| error.to_string())?;
    std::fs::write(Path::new(&folder).join("scopes.rs"), table).map_err(|error| error.to_string())
}
