//! The deployment: template.yaml on ministack with the binaries of the workspace's build.
use std::path::Path;

use sam_template::Template;
use serde_json::json;
use testkit::{Ministack, Packaged, Stack};

const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");

fn functions(template: &Template) -> Vec<Packaged> {
    template
        .functions
        .iter()
        .map(|function| Packaged {
            logical_id: function.logical_id.clone(),
            binary: function.crate_name().to_owned(),
        })
        .collect()
}

async fn deploy<'a>(ministack: &'a Ministack, template: &Template) -> Stack<'a> {
    let text = std::fs::read_to_string(TEMPLATE).unwrap();
    let parameters = [
        ("Architecture", "x86_64"),
        ("AppSecretArn", "feira-app"),
        ("Environment", "development"),
        ("SchedulesState", "DISABLED"),
    ];
    ministack
        .deploy("feira", &text, &functions(template), &parameters)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn template_deploys_with_every_function_and_queue() {
    let Some(ministack) = testkit::ministack().await else {
        return;
    };
    let template = Template::read(Path::new(TEMPLATE)).unwrap();
    ministack.create_secret("feira-app", &json!({})).await;
    let stack = deploy(&ministack, &template).await;
    for function in &template.functions {
        let name = stack.physical_id(&function.logical_id).await;
        assert!(name.contains(&function.logical_id), "{name}");
    }
    for queue in &template.queues {
        let url = stack.physical_id(&queue.logical_id).await;
        assert_eq!(ministack.message_count(&url).await, 0, "{url}");
    }
}
