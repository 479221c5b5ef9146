"""The steps of a Python client's plan, and what is seen on the way: see
steps.mjs, but that no call is cancelled."""

import asyncio

LIMIT = 10
LOG_LEVEL = "io.modelcontextprotocol/logLevel"

# What the client answers when the server asks it.
ELICITED = {"action": "accept", "content": {"name": "Ada"}}
SAMPLED = {"role": "assistant", "model": "parrot", "content": {"type": "text", "text": "Hello."}}
ROOTS = {"roots": [{"uri": "file:///ground", "name": "ground"}]}


def plain(model):
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


class Steps:
    """The steps over one client; `types` are those of its SDK, and its callbacks
    are methods here."""

    def __init__(self, types):
        self.types = types
        # Where what comes on the way goes, and notifications that no step has
        # waited for yet.
        self.seen, self.heard = [], []
        self.wake = asyncio.Event()
        self.subscriptions = {}

    def callbacks(self):
        """As the SDK's session takes them."""
        return {
            "elicitation_callback": self.elicit,
            "sampling_callback": self.sample,
            "list_roots_callback": self.list_roots,
            "logging_callback": self.log,
            "message_handler": self.hear,
        }

    async def elicit(self, _, params):
        self.seen.append({"asked": "elicitation/create", "message": params.message})
        return self.types.ElicitResult.model_validate(ELICITED)

    async def sample(self, _, params):
        words = params.messages[0].content.text
        self.seen.append({"asked": "sampling/createMessage", "message": words})
        return self.types.CreateMessageResult.model_validate(SAMPLED)

    async def list_roots(self, _):
        self.seen.append({"asked": "roots/list"})
        return self.types.ListRootsResult.model_validate(ROOTS)

    async def log(self, params):
        self.seen.append({"log": {"level": params.level, "logger": params.logger, "data": params.data}})

    async def progress(self, progress, total, message):
        report = {"progress": progress, "total": total, "message": message}
        self.seen.append({"progress": {key: value for key, value in report.items() if value is not None}})

    async def hear(self, message):
        # In a root model in 1.x.
        message = getattr(message, "root", message)
        if isinstance(message, self.types.ResourceUpdatedNotification):
            self.note(("updated", str(message.params.uri)))
        elif isinstance(message, self.types.ToolListChangedNotification):
            self.note(("changed",))

    def note(self, event):
        self.heard.append(event)
        self.wake.set()

    async def take(self, client, step, modern, error_type):
        """Takes one step; gives its events, in the order in which they came."""
        seen = self.seen = []
        try:
            result = await self.run(client, step, modern)
            seen.append({"result": result if isinstance(result, dict) else plain(result)})
        except error_type as error:
            seen.append({"error": {"code": error.error.code, "message": error.error.message}})
        except TimeoutError:
            seen.append({"error": {"code": None, "message": "heard nothing of it"}})
        self.seen = []
        return seen

    async def run(self, client, step, modern):
        match step.get("do", "call"):
            case "call":
                return await self.call(client, step, modern)
            case "read":
                return await client.read_resource(step["uri"])
            case "prompt":
                return await client.get_prompt(step["name"], step["arguments"])
            case "complete":
                ref = step["ref"]
                kind = "PromptReference" if ref["type"] == "ref/prompt" else "ResourceTemplateReference"
                argument = step["argument"]
                return await client.complete(getattr(self.types, kind)(**ref), argument)
            case "subscribe":
                return await self.subscribe(client, step["uri"], modern)
            case "unsubscribe":
                return await self.unsubscribe(client, step["uri"], modern)
            case "updated":
                await self.wait_for(("updated", step["uri"]))
                return {"updated": step["uri"]}
            case "listed":
                return await self.listed(client, step)
            case "list":
                snake = {"resourceTemplates": "resource_templates"}
                return await getattr(client, f"list_{snake.get(step['what'], step['what'])}")()
        raise ValueError(step)

    async def call(self, client, step, modern):
        options = {}
        if step.get("progress"):
            options["progress_callback"] = self.progress
        if step.get("log") and modern:
            options["meta"] = {LOG_LEVEL: "debug"}
        return await client.call_tool(step["name"], step.get("arguments"), **options)

    async def subscribe(self, client, uri, modern):
        if not modern:
            return await client.subscribe_resource(uri)
        ready = asyncio.Event()

        async def listen():
            async with client.listen(tools_list_changed=True, resource_subscriptions=[uri]) as events:
                ready.set()
                async for event in events:
                    self.note(("updated", event.uri) if hasattr(event, "uri") else ("changed",))

        self.subscriptions[uri] = asyncio.create_task(listen())
        await asyncio.wait_for(ready.wait(), LIMIT)
        return {}

    async def unsubscribe(self, client, uri, modern):
        if not modern:
            return await client.unsubscribe_resource(uri)
        self.subscriptions.pop(uri).cancel()
        return {}

    async def listed(self, client, step):
        while True:
            await self.wait_for(("changed",))
            tools = (await client.list_tools()).tools
            if any(tool.name == step["tool"] for tool in tools) == step["listed"]:
                return {"listed": step["listed"]}

    async def wait_for(self, event):
        async with asyncio.timeout(LIMIT):
            while event not in self.heard:
                self.wake.clear()
                await self.wake.wait()
        self.heard = [other for other in self.heard if other != event]
