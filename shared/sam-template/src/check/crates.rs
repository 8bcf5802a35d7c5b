//! Functions and their crates: a feature is found by its name everywhere.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Findings, Rule};
use crate::model::Function;
use crate::template::Template;

pub(super) fn check(template: &Template, findings: &mut Findings) {
    for function in &template.functions {
        names(function, findings);
        if !template
            .folder
            .join(&function.code_uri)
            .join("Cargo.toml")
            .is_file()
        {
            findings.add(
                Rule::Crate,
                &function.logical_id,
                format!(
                    "CodeUri {} has no Cargo.toml: it names no crate",
                    function.code_uri
                ),
            );
        }
    }
    let named: BTreeSet<&str> = template
        .functions
        .iter()
        .map(|function| function.code_uri.as_str())
        .collect();
    event_files(template, findings);
    for folder in crate_folders(&template.folder) {
        if !named.contains(folder.as_str()) {
            let id = logical_id(folder.rsplit('/').next().unwrap_or_default());
            findings.add(
                Rule::Crate,
                &folder,
                format!("the template has no {id} for it"),
            );
        }
    }
}

/// `events/<function>/<case>.json`: what triggers send, for tests and for `invoke`.
fn event_files(template: &Template, findings: &mut Findings) {
    let root = template.folder.join("events");
    let mut folders: BTreeSet<String> = names_in(&root).into_iter().collect();
    for function in &template.functions {
        let name = function.crate_name();
        folders.remove(name);
        let files = names_in(&root.join(name));
        if files.is_empty() {
            findings.add(
                Rule::Events,
                &function.logical_id,
                format!("it has no event files: write events/{name}/<case>.json"),
            );
        }
        for file in files {
            let text = std::fs::read_to_string(root.join(name).join(&file)).unwrap_or_default();
            if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err() {
                let place = format!("events/{name}/{file}");
                findings.add(Rule::Events, place, "it is no JSON");
            }
        }
    }
    for folder in folders {
        findings.add(
            Rule::Events,
            format!("events/{folder}"),
            "no function is called so",
        );
    }
}

fn names(function: &Function, findings: &mut Findings) {
    let expected = logical_id(function.crate_name());
    if function.logical_id != expected {
        findings.add(
            Rule::Crate,
            &function.logical_id,
            format!("the function of {} is called {expected}", function.code_uri),
        );
    }
    let built = function.build_method.as_deref() == Some("rust-cargolambda")
        && function.handler == "bootstrap"
        && function.runtime == "provided.al2023";
    if !built {
        findings.add(
            Rule::Crate,
            &function.logical_id,
            "write BuildMethod: rust-cargolambda, Handler: bootstrap, Runtime: provided.al2023",
        );
    }
}

/// `redeem-voucher` is the crate of `RedeemVoucherFunction`.
fn logical_id(crate_name: &str) -> String {
    let mut id = String::with_capacity(crate_name.len() + 8);
    for word in crate_name.split('-') {
        let mut letters = word.chars();
        id.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        id.extend(letters);
    }
    id.push_str("Function");
    id
}

/// Every `functions/<context>/<verb-noun>` that holds a Cargo.toml.
fn crate_folders(root: &Path) -> Vec<String> {
    let mut folders = Vec::new();
    for context in names_in(&root.join("functions")) {
        for name in names_in(&root.join("functions").join(&context)) {
            let folder = format!("functions/{context}/{name}");
            if root.join(&folder).join("Cargo.toml").is_file() {
                folders.push(folder);
            }
        }
    }
    folders
}

fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}
