//! The template, deployed to ministack with the real binaries.
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::binaries::function_binaries;
use crate::services::Ministack;
use crate::zip::zip_of_program;

/// Where the packaged functions lie, as after `sam package`; the account's number follows.
const CODE_BUCKET: &str = "feira-codigo";
const DEPLOY_LIMIT: Duration = Duration::from_secs(120);

/// A function of the template: its logical id, and the name of its crate and binary.
#[derive(Debug, Clone)]
pub struct Packaged {
    /// `IssueTripVoucherFunction`
    pub logical_id: String,
    /// `issue-trip-voucher`
    pub binary: String,
}

/// A stack that was deployed; it ends with its ministack account.
#[derive(Debug)]
pub struct Stack<'a> {
    ministack: &'a Ministack,
    name: String,
}

impl Ministack {
    /// Deploys a SAM template as `sam package` and `sam deploy` do: each function's code goes to
    /// a bucket, its `CodeUri` points there, and CloudFormation does the rest.
    ///
    /// The stack's name, and so its functions', is of the account's own: a function that ministack
    /// creates ends the running ones of the same name in every account.
    ///
    /// The code of a function is a `bootstrap` that starts the binary of the workspace's build
    /// where it lies: a debug binary is too large to be sent and unpacked for each test.
    ///
    /// # Panics
    /// Where a function has no binary, or the stack is not created; with CloudFormation's reasons.
    pub async fn deploy(
        &self,
        template: &str,
        functions: &[Packaged],
        parameters: &[(&str, &str)],
    ) -> Stack<'_> {
        let name = format!("feira-{}", self.account_id());
        let bucket = format!("{CODE_BUCKET}-{}", self.account_id());
        self.create_bucket(&bucket).await;
        for function in functions {
            let binary = function_binaries().join(&function.binary);
            let code = zip_of_program("bootstrap", &bootstrap(&binary));
            self.put_object(&bucket, &format!("{}.zip", function.logical_id), code)
                .await;
        }
        // By URL: a template of more than 51,200 bytes is not taken in the call itself.
        let template = packaged(template, functions, &bucket);
        self.put_object(&bucket, "template.yaml", template.into_bytes())
            .await;
        let url = format!("{}/{bucket}/template.yaml", self.endpoint_url());
        let mut form = vec![
            ("StackName".to_owned(), name.clone()),
            ("TemplateURL".to_owned(), url),
            (
                "Capabilities.member.1".to_owned(),
                "CAPABILITY_IAM".to_owned(),
            ),
            (
                "Capabilities.member.2".to_owned(),
                "CAPABILITY_AUTO_EXPAND".to_owned(),
            ),
        ];
        for (position, (key, value)) in (1..).zip(parameters) {
            let member = format!("Parameters.member.{position}");
            form.push((format!("{member}.ParameterKey"), (*key).to_owned()));
            form.push((format!("{member}.ParameterValue"), (*value).to_owned()));
        }
        self.cloudformation("CreateStack", &form).await;
        let stack = Stack {
            ministack: self,
            name,
        };
        stack.await_created().await;
        stack
    }
}

impl Stack<'_> {
    /// The physical id of a resource: a function's name, a queue's URL, a bucket's name.
    ///
    /// # Panics
    /// Where the stack has no such resource.
    pub async fn physical_id(&self, logical_id: &str) -> String {
        let form = [
            ("StackName".to_owned(), self.name.clone()),
            ("LogicalResourceId".to_owned(), logical_id.to_owned()),
        ];
        let answer = self
            .ministack
            .cloudformation("DescribeStackResource", &form)
            .await;
        let Some(id) = element(&answer, "PhysicalResourceId").next() else {
            panic!("no {logical_id} in the stack: {answer}")
        };
        id.to_owned()
    }

    async fn await_created(&self) {
        const PAUSE: Duration = Duration::from_millis(100);
        let form = [("StackName".to_owned(), self.name.clone())];
        let started = Instant::now();
        loop {
            let answer = self.ministack.cloudformation("DescribeStacks", &form).await;
            let status = element(&answer, "StackStatus")
                .next()
                .unwrap_or_default()
                .to_owned();
            match status.as_str() {
                "CREATE_COMPLETE" => return,
                "CREATE_IN_PROGRESS" | "REVIEW_IN_PROGRESS" => {}
                _ => panic!("the stack ended as {status}:\n{}", self.reasons().await),
            }
            if started.elapsed() > DEPLOY_LIMIT {
                panic!(
                    "the stack is still {status} after {} s",
                    DEPLOY_LIMIT.as_secs()
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn reasons(&self) -> String {
        let form = [("StackName".to_owned(), self.name.clone())];
        let answer = self
            .ministack
            .cloudformation("DescribeStackEvents", &form)
            .await;
        let mut reasons = String::new();
        for event in element(&answer, "member") {
            let failed = element(event, "ResourceStatus").any(|s| s.contains("FAILED"));
            let resource = element(event, "LogicalResourceId")
                .next()
                .unwrap_or_default();
            let reason = element(event, "ResourceStatusReason")
                .next()
                .unwrap_or_default();
            if failed {
                writeln!(reasons, "{resource}: {reason}").expect("a String takes every text");
            }
        }
        reasons
    }
}

fn bootstrap(binary: &Path) -> String {
    assert!(binary.exists(), "{} is not built", binary.display());
    format!("#!/bin/sh\nexec '{}'\n", binary.display())
}

/// The template with each function's `CodeUri` pointing at its packaged code.
fn packaged(template: &str, functions: &[Packaged], bucket: &str) -> String {
    let mut result = String::with_capacity(template.len());
    let mut resource = "";
    for line in template.lines() {
        let name = line
            .trim_end()
            .strip_suffix(':')
            .and_then(|name| name.strip_prefix("  "));
        if let Some(name) = name.filter(|name| !name.starts_with([' ', '#'])) {
            resource = name;
        }
        let code = line.trim_start().starts_with("CodeUri:");
        let function = functions
            .iter()
            .find(|function| function.logical_id == resource);
        let indent = line.len() - line.trim_start().len();
        match function.filter(|_| code) {
            Some(function) => {
                let id = &function.logical_id;
                writeln!(result, "{:indent$}CodeUri: s3://{bucket}/{id}.zip", "")
            }
            None => writeln!(result, "{line}"),
        }
        .expect("a String takes every text");
    }
    result
}

/// The contents of each `<name>` element, in order. CloudFormation's answers nest none in itself.
fn element<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (content, after) = after.split_once(&close)?;
        rest = after;
        Some(content)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_functions_code_is_replaced() {
        let template = "Resources:\n  FirstFunction:\n    Type: AWS::Serverless::Function\n    \
                        Properties:\n      CodeUri: functions/a/first\n  Layer:\n    Properties:\n      \
                        CodeUri: layer\n";
        let function = Packaged {
            logical_id: "FirstFunction".into(),
            binary: "first".into(),
        };
        let expected = template.replace(
            "CodeUri: functions/a/first",
            "CodeUri: s3://code/FirstFunction.zip",
        );
        assert_eq!(packaged(template, &[function], "code"), expected);
    }

    #[test]
    fn elements_come_in_order() {
        let xml = "<a><s>1</s><s>2</s></a>";
        assert_eq!(element(xml, "s").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(element(xml, "x").next(), None);
    }
}
