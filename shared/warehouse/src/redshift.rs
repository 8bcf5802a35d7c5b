//! The load step on Redshift: COPY by a manifest that names exactly the new files.
//! <https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-columnar.html>

use domain::lake::DataFile;
use serde_json::json;

/// Longest ARN or address that is put into a statement.
const LONGEST_TEXT: usize = 1_024;

/// `COPY … FORMAT AS PARQUET MANIFEST`; `None` where an address or role is not plain text.
#[must_use]
pub fn copy_statement(staging: &str, manifest: &str, role: &str) -> Option<String> {
    let is_plain = |text: &str| {
        (1..=LONGEST_TEXT).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'\'' && byte != b'\\')
    };
    (is_plain(manifest) && is_plain(role)).then(|| {
        format!("COPY {staging} FROM '{manifest}' IAM_ROLE '{role}' FORMAT AS PARQUET MANIFEST")
    })
}

/// The manifest of files below `folder` (`s3://bucket/lago/main/vendas/`). COPY of Parquet needs each
/// file's length.
#[must_use]
pub fn manifest(folder: &str, files: &[DataFile]) -> String {
    let entries: Vec<_> = files
        .iter()
        .map(|file| {
            json!({
                "url": format!("{folder}{}", file.name),
                "mandatory": true,
                "meta": {"content_length": file.size_bytes},
            })
        })
        .collect();
    json!({ "entries": entries }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_names_the_manifest_and_the_role_and_nothing_that_ends_a_text() {
        let role = "arn:aws:iam::123456789012:role/feira-copy";
        let statement = copy_statement("vendas_nova", "s3://feira/lago/manifestos/1.json", role);
        insta::assert_snapshot!(statement.unwrap());
        assert_eq!(
            copy_statement("vendas_nova", "s3://feira/it's.json", role),
            None
        );
        assert_eq!(copy_statement("vendas_nova", "s3://feira/1.json", ""), None);
    }

    #[test]
    fn a_manifest_tells_each_files_length() {
        let file = DataFile {
            id: 7,
            name: "01JC.parquet".to_owned(),
            rows: 3,
            size_bytes: 1_234,
            days: None,
            orders: None,
            loads: None,
        };
        insta::assert_snapshot!(manifest("s3://feira/lago/main/vendas/", &[file]));
    }
}
