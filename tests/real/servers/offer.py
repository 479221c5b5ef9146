"""What the servers of this folder offer, the same on each SDK (see offer.mjs).

`name` is the server's own and the scheme of its URIs: behind mcpmux none is
listed twice. All is JSON, as the protocol has it."""

import asyncio

APP = "text/html;profile=mcp-app"


def _tool(name, properties=None, **rest):
    return {"name": name, "inputSchema": {"type": "object", "properties": properties or {}}, **rest}


def text(words):
    return {"content": [{"type": "text", "text": words}]}


async def moment():
    """Time for a notification to be handed on before what comes next."""
    await asyncio.sleep(0.02)


class Question:
    """What a tool asks the client: the request, and what to say of the answer."""

    def __init__(self, method, params, say):
        self.method, self.params, self.say = method, params, say


QUESTIONS = {
    "ask": Question(
        "elicitation/create",
        {
            "mode": "form",
            "message": "What is your name?",
            "requestedSchema": {
                "type": "object",
                "properties": {"name": {"type": "string"}},
                "required": ["name"],
            },
        },
        lambda answer: f"{answer.action}: {(answer.content or {}).get('name')}",
    ),
    "sample": Question(
        "sampling/createMessage",
        {"messages": [{"role": "user", "content": {"type": "text", "text": "Speak."}}], "maxTokens": 10},
        lambda answer: f"{answer.model}: {answer.content.text}",
    ),
    "roots": Question(
        "roots/list", {}, lambda answer: " ".join(str(root.uri) for root in answer.roots)
    ),
}


class Offer:
    def __init__(self, name):
        self.name = name
        self.note = f"{name}://note"
        self.app = f"ui://{name}/app.html"
        self.grown = False

    def tools(self):
        tools = [
            _tool("say", {"words": {"type": "string"}}, _meta={"ui": {"resourceUri": self.app}}),
            _tool("work"),
            *(_tool(name) for name in QUESTIONS),
            _tool("touch"),
            _tool("grow", {"grown": {"type": "boolean"}}),
        ]
        return {"tools": [*tools, _tool("grown")] if self.grown else tools}

    def resources(self):
        note = {"uri": self.note, "name": "note", "mimeType": "text/plain"}
        return {"resources": [note, {"uri": self.app, "name": "app", "mimeType": APP}]}

    def templates(self):
        item = {"uriTemplate": f"{self.name}://item/{{id}}", "name": "item", "mimeType": "text/plain"}
        return {"resourceTemplates": [item]}

    def read(self, uri):
        if uri == self.app:
            return {"contents": [{"uri": uri, "mimeType": APP, "text": "<p>An app</p>"}]}
        words = f"{self.name} has {uri.split('//')[1]}"
        return {"contents": [{"uri": uri, "mimeType": "text/plain", "text": words}]}

    def prompts(self):
        return {"prompts": [{"name": "greet", "arguments": [{"name": "who", "required": True}]}]}

    def prompt(self, arguments):
        words = f"Greet {arguments['who']}."
        return {"messages": [{"role": "user", "content": {"type": "text", "text": words}}]}

    def complete(self, name, value):
        values = [f"{value}-{name}-1", f"{value}-{name}-2"]
        return {"completion": {"values": values, "total": 2, "hasMore": False}}
