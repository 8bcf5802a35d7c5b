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
