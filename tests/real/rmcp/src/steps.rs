//! The steps of a plan, and what is seen on the way: as
//! `tests/real/clients/steps.mjs` has it, but that no call is cancelled.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use rmcp::{
    ClientHandler, ErrorData, RoleClient,
    model::{
        ClientConfig, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
        ElicitResult, ListRootsResult, LoggingMessageNotificationParam, ProgressNotificationParam,
        ProtocolVersion, ResourceUpdatedNotificationParam, ServerNotification,
    },
    service::{NotificationContext, RequestContext, RunningService, ServiceError},
};
use serde_json::{Value, json};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};

const LIMIT: Duration = Duration::from_secs(10);

/// What comes from the server by itself.
#[derive(Clone, Default)]
pub(crate) struct Heard {
    /// What belongs to the step.
    seen: Arc<Mutex<Vec<Value>>>,
    /// What a step may wait for.
    told: Arc<Mutex<Vec<Value>>>,
    wake: Arc<Notify>,
}

impl Heard {
    fn see(&self, event: Value) {
        self.seen.lock().unwrap().push(event);
    }

    fn tell(&self, what: Value) {
        self.told.lock().unwrap().push(what);
        self.wake.notify_one();
    }

    /// Waits until `what` has been told; once for as often as it has been.
    async fn wait_for(&self, what: &Value) -> Result<(), String> {
        let heard = async {
            loop {
                {
                    let mut told = self.told.lock().unwrap();
                    let before = told.len();
                    told.retain(|other| other != what);
                    if told.len() < before {
                        return;
                    }
                }
                self.wake.notified().await;
            }
        };
        let timed_out = |_| "heard nothing of it".to_owned();
        timeout(LIMIT, heard).await.map_err(timed_out)
    }
}

impl ClientHandler for Heard {
    fn get_info(&self) -> ClientConfig {
        // All that mcpmux relays: a server may offer more to who can do more.
        let info = json!({
            "protocolVersion": ProtocolVersion::V_2025_11_25,
            "capabilities": {
                "roots": {},
                "sampling": { "context": {}, "tools": {} },
                "elicitation": { "form": {}, "url": {} },
            },
            "clientInfo": { "name": "real-rmcp", "version": "1" },
        });
        serde_json::from_value(info).unwrap()
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.see(json!({ "asked": "elicitation/create", "message": json!(request)["message"] }));
        Ok(typed(
            json!({ "action": "accept", "content": { "name": "Ada" } }),
        ))
    }

    async fn create_message(
        &self,
        request: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let message = json!(request)["messages"][0]["content"]["text"].clone();
        self.see(json!({ "asked": "sampling/createMessage", "message": message }));
        let content = json!({ "type": "text", "text": "Hello." });
        Ok(typed(
            json!({ "role": "assistant", "model": "parrot", "content": content }),
        ))
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        self.see(json!({ "asked": "roots/list" }));
        Ok(typed(
            json!({ "roots": [{ "uri": "file:///ground", "name": "ground" }] }),
        ))
    }

    async fn on_progress(
        &self,
        report: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.see(json!({ "progress": { "progress": report.progress, "total": report.total } }));
    }

    async fn on_logging_message(
        &self,
        log: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.see(json!({ "log": { "level": log.level, "logger": log.logger, "data": log.data } }));
    }

    async fn on_resource_updated(
        &self,
        update: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.tell(json!({ "updated": update.uri }));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.tell(json!("changed"));
    }
}

/// The steps over one connected client.
pub(crate) struct Steps {
    client: RunningService<RoleClient, Heard>,
    heard: Heard,
    modern: bool,
    subscriptions: HashMap<String, JoinHandle<()>>,
}

type Outcome = Result<Value, Failure>;

/// Why a step has no result: what the server said, or what went wrong.
struct Failure(Option<i32>, String);

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::McpError(error) => Self(Some(error.code.0), error.message.into_owned()),
            other => Self(None, other.to_string()),
        }
    }
}

impl From<String> for Failure {
    fn from(error: String) -> Self {
        Self(None, error)
    }
}

impl Steps {
    pub(crate) fn new(client: RunningService<RoleClient, Heard>, modern: bool) -> Self {
        Self {
            heard: client.service().clone(),
            client,
            modern,
            subscriptions: HashMap::new(),
        }
    }

    /// Ends the session.
    pub(crate) async fn close(self) {
        self.client.cancel().await.unwrap();
    }

    /// Before the first step that wants log messages: all of them are wanted.
    pub(crate) async fn want_log(&self) {
        if !self.modern {
            let level = typed(json!({ "level": "debug" }));
            self.client.set_level(level).await.unwrap();
        }
    }

    /// Takes one step; gives its events, in the order in which they came.
    pub(crate) async fn take(&mut self, step: &Value) -> Value {
        self.heard.seen.lock().unwrap().clear();
        let outcome = match self.run(step).await {
            Ok(result) => json!({ "result": result }),
            Err(Failure(code, message)) => json!({ "error": { "code": code, "message": message } }),
        };
        self.heard.see(outcome);
        json!(std::mem::take(&mut *self.heard.seen.lock().unwrap()))
    }

    async fn run(&mut self, step: &Value) -> Outcome {
        let client = &self.client;
        let uri = || step["uri"].as_str().unwrap().to_owned();
        let params = |names: &[&str]| {
            let given = names.iter().filter(|name| !step[**name].is_null());
            let given = given.map(|name| ((*name).to_owned(), step[*name].clone()));
            Value::Object(given.collect())
        };
        Ok(match step["do"].as_str().unwrap_or("call") {
            "call" => {
                let mut params = params(&["name", "arguments"]);
                if step["log"] == true && self.modern {
                    params["_meta"] = json!({ "io.modelcontextprotocol/logLevel": "debug" });
                }
                json!(client.call_tool(typed(params)).await?)
            }
            "read" => json!(client.read_resource(typed(params(&["uri"]))).await?),
            "prompt" => json!(
                client
                    .get_prompt(typed(params(&["name", "arguments"])))
                    .await?
            ),
            "complete" => json!(client.complete(typed(params(&["ref", "argument"]))).await?),
            "subscribe" => self.subscribe(uri()).await?,
            "unsubscribe" => self.unsubscribe(uri()).await?,
            "updated" => {
                self.heard.wait_for(&json!({ "updated": uri() })).await?;
                json!({ "updated": uri() })
            }
            "listed" => loop {
                self.heard.wait_for(&json!("changed")).await?;
                let tools = client.list_all_tools().await?;
                let listed = tools.iter().any(|tool| step["tool"] == *tool.name);
                if step["listed"] == listed {
                    break json!({ "listed": listed });
                }
            },
            "list" => match step["what"].as_str().unwrap() {
                "resources" => json!(client.list_resources(None).await?),
                "resourceTemplates" => json!(client.list_resource_templates(None).await?),
                _ => json!(client.list_prompts(None).await?),
            },
            other => panic!("no step {other}"),
        })
    }

    async fn subscribe(&mut self, uri: String) -> Outcome {
        if !self.modern {
            self.client.subscribe(typed(json!({ "uri": uri }))).await?;
            return Ok(json!({}));
        }
        let wanted = json!({ "toolsListChanged": true, "resourceSubscriptions": [uri] });
        let mut subscription = self.client.listen(typed(wanted)).await?;
        let heard = self.heard.clone();
        let listening = tokio::spawn(async move {
            while let Ok(Some(notification)) = subscription.next().await {
                match notification {
                    ServerNotification::ResourceUpdatedNotification(update) => {
                        heard.tell(json!({ "updated": update.params.uri }));
                    }
                    ServerNotification::ToolListChangedNotification(_) => {
                        heard.tell(json!("changed"));
                    }
                    _ => {}
                }
            }
        });
        self.subscriptions.insert(uri, listening);
        Ok(json!({}))
    }

    async fn unsubscribe(&mut self, uri: String) -> Outcome {
        if self.modern {
            // Its drop cancels the subscription.
            self.subscriptions.remove(&uri).unwrap().abort();
        } else {
            self.client
                .unsubscribe(typed(json!({ "uri": uri })))
                .await?;
        }
        Ok(json!({}))
    }
}

/// What JSON is in the SDK's types.
fn typed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}
