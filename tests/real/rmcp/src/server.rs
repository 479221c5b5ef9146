//! The server, in the era that its client begins.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt as _,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams,
        CompleteResult, ContentBlock, ElicitRequest, GetPromptRequestParams, GetPromptResponse,
        Implementation, InputRequiredResult, ListPromptsResult, ListResourceTemplatesResult,
        ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProgressNotificationParam,
        ReadResourceRequestParams, ReadResourceResponse, ServerConfig, ServerRequest,
        SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter,
        UnsubscribeRequestParams,
    },
    service::{RequestContext, ServiceError, SubscriptionContext, SubscriptionSink},
    transport::stdio,
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::offer::{self, Offer};

/// Serves on stdin and stdout until stdin ends.
pub(crate) async fn serve(name: &str) {
    let server = Server {
        offer: Arc::new(Offer::new(name)),
        sinks: Arc::default(),
        listeners: AtomicUsize::new(0),
    };
    server
        .serve(stdio())
        .await
        .unwrap()
        .waiting()
        .await
        .unwrap();
}

struct Server {
    offer: Arc<Offer>,
    /// Those of the listening clients.
    sinks: Arc<Mutex<Vec<SubscriptionSink>>>,
    /// How many clients were told that they are heard: the SDK says so first, and
    /// gives the sink then.
    listeners: AtomicUsize,
}

/// What JSON is in the SDK's types.
fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

/// The same of a whole result; the SDK leaves the mark out to a legacy client.
fn complete<T: serde::de::DeserializeOwned>(mut result: Value) -> Result<T, ErrorData> {
    result["resultType"] = json!("complete");
    typed(result)
}

#[allow(clippy::needless_pass_by_value)] // as map_err gives it
fn failed(error: ServiceError) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    let version = context.protocol_version();
    version.is_some_and(|version| version.as_str() >= "2026")
}

impl Server {
    /// Those of all who listen.
    async fn sinks(&self) -> Vec<SubscriptionSink> {
        loop {
            let sinks = self.sinks.lock().await;
            if sinks.len() >= self.listeners.load(Ordering::Relaxed) {
                return sinks.clone();
            }
            drop(sinks);
            moment().await;
        }
    }

    async fn ask(
        &self,
        tool: &str,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let question = offer::question(tool).unwrap();
        let answer = if !is_modern(context) {
            let params = question["params"].clone();
            let peer = &context.peer;
            match tool {
                "ask" => {
                    let request = ServerRequest::ElicitRequest(ElicitRequest::new(typed(params)?));
                    json!(peer.send_request(request).await.map_err(failed)?)
                }
                "sample" => json!(peer.create_message(typed(params)?).await.map_err(failed)?),
                _ => json!(peer.list_roots().await.map_err(failed)?),
            }
        } else if let Some(answers) = &request.input_responses {
            answers["answer"].clone()
        } else {
            let requests = typed(json!({ "answer": question }))?;
            return Ok(InputRequiredResult::new(Some(requests), None).into());
        };
        Ok(text(&offer::say(tool, &answer)))
    }

    async fn work(&self, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
        let wants_log = !is_modern(context) || context.meta.log_level().is_some();
        for step in [1, 2] {
            if let Some(token) = context.meta.get_progress_token() {
                let progress = ProgressNotificationParam::new(token, step.into()).with_total(2.0);
                context
                    .peer
                    .notify_progress(progress)
                    .await
                    .map_err(failed)?;
                moment().await;
            }
            if step == 1 && wants_log {
                let log = typed(json!({ "level": "info", "logger": "work", "data": "half way" }))?;
                context
                    .peer
                    .notify_logging_message(log)
                    .await
                    .map_err(failed)?;
                moment().await;
            }
        }
        Ok(())
    }

    async fn touch(&self, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
        let note = self.offer.note();
        if !is_modern(context) {
            let param = typed(json!({ "uri": note }))?;
            return context
                .peer
                .notify_resource_updated(param)
                .await
                .map_err(failed);
        }
        for sink in self.sinks().await {
            // One that has ended is told nothing.
            let _ = sink.notify_resource_updated(&note).await;
        }
        Ok(())
    }

    async fn grow(
        &self,
        grown: bool,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.offer.grow(grown);
        if !is_modern(context) {
            return context
                .peer
                .notify_tool_list_changed()
                .await
                .map_err(failed);
        }
        for sink in self.sinks().await {
            let _ = sink.notify_tool_list_changed().await;
        }
        Ok(())
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = json!({
            "tools": { "listChanged": true },
            "resources": { "subscribe": true, "listChanged": true },
            "prompts": {},
            "completions": {},
            "logging": {},
        });
        ServerConfig::new(typed(capabilities).unwrap())
            .with_server_info(Implementation::new(self.offer.name(), "1"))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        complete(self.offer.tools())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = json!(request.arguments);
        Ok(match &*request.name {
            "say" => text(arguments["words"].as_str().unwrap_or_default()),
            tool @ ("ask" | "sample" | "roots") => self.ask(tool, &request, &context).await?,
            "work" => {
                self.work(&context).await?;
                text("worked")
            }
            "touch" => {
                self.touch(&context).await?;
                text("touched")
            }
            "grow" => {
                let grown = arguments["grown"].as_bool().unwrap_or_default();
                self.grow(grown, &context).await?;
                text(&format!("grown: {grown}"))
            }
            other => return Err(ErrorData::invalid_params(format!("no tool {other}"), None)),
        })
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        complete(self.offer.resources())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        complete(self.offer.templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        Ok(ReadResourceResponse::Complete(complete(
            self.offer.read(&request.uri),
        )?))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        complete(offer::prompts())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = json!(request.arguments);
        let who = arguments["who"].as_str().unwrap_or_default();
        Ok(GetPromptResponse::Complete(complete(offer::prompt(who))?))
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        complete(offer::complete(
            &request.argument.name,
            &request.argument.value,
        ))
    }

    async fn set_level(
        &self,
        _: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(
        &self,
        _: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        wanted: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        self.listeners.fetch_add(1, Ordering::Relaxed);
        Some(wanted.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.sinks.lock().await.push(context.sink().clone());
        context.cancelled().await;
        Ok(())
    }
}

fn text(words: &str) -> CallToolResponse {
    CallToolResult::success(vec![ContentBlock::text(words)]).into()
}

/// Time for a notification to be handed on before what comes next.
async fn moment() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}
