"""The protocol's own conformance suite (npm: @modelcontextprotocol/conformance), against a bare server and the same one behind a guard.

The suite is not part of the project; the folder with its command is given:

    python benchmarks/mcp_conformance.py node_modules/.bin/conformance

Exit code 1 where a scenario passes bare and not behind the guard, but for what the guard does not pass on: sampling and log messages.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import uvicorn
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler

from agentguard.store.embedded import stop_left_over

POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: deny, critical: deny}
tools: {"*": {risk: low, labels: []}}
"""
ME = Path(__file__).resolve()
NOT_PASSED_ON = {"tools-call-sampling", "tools-call-with-logging", "logging-set-level"}
"""No guard stands before the client's model or its log."""

Context = ServerRequestContext[Any, Any]
PICTURE = base64.b64encode(bytes.fromhex("89504e470d0a1a0a") + bytes(range(128, 160))).decode()
SOUND = base64.b64encode(b"RIFF\xff\xfe\xfd\xfcWAVE").decode()
EMPTY = {"type": "object", "properties": {}}
SCHEMA_2020 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
    "additionalProperties": False,
}
ONE, TITLED = ["option1", "option2", "option3"], [{"const": f"value{n}", "title": f"Option {n}"} for n in (1, 2, 3)]
QUESTIONS: dict[str, dict[str, Any]] = {
    "test_elicitation": {"username": {"type": "string"}, "email": {"type": "string"}},
    "test_elicitation_sep1034_defaults": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
    "test_elicitation_sep1330_enums": {
        "untitledSingle": {"type": "string", "enum": ONE},
        "titledSingle": {"type": "string", "oneOf": TITLED},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ONE}},
        "titledMulti": {"type": "array", "items": {"anyOf": TITLED}},
    },
}
TOOLS = (
    "simple_text",
    "image_content",
    "audio_content",
    "embedded_resource",
    "multiple_content_types",
    "error_handling",
)


def text(of: str) -> types.TextContent:
    """A block of text."""
    return types.TextContent(text=of)


def embedded(uri: str, of: str, kind: str = "text/plain") -> types.EmbeddedResource:
    """A block with a resource in it."""
    return types.EmbeddedResource(resource=types.TextResourceContents(uri=uri, text=of, mime_type=kind))


IMAGE = types.ImageContent(data=PICTURE, mime_type="image/png")
PLAIN: dict[str, list[Any]] = {
    "test_simple_text": [text("This is a simple text response for testing.")],
    "test_image_content": [IMAGE],
    "test_audio_content": [types.AudioContent(data=SOUND, mime_type="audio/wav")],
    "test_embedded_resource": [embedded("test://embedded-resource", "This is an embedded resource content.")],
    "test_multiple_content_types": [
        text("Multiple content types test:"),
        IMAGE,
        embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    ],
    "json_schema_2020_12_tool": [text("done")],
}
PROMPTS: dict[str, tuple[str, ...]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
}


async def list_tools(*_: Any) -> types.ListToolsResult:
    """What the suite calls."""
    names = [
        *PLAIN,
        *QUESTIONS,
        "test_error_handling",
        "test_tool_with_logging",
        "test_tool_with_progress",
        "test_sampling",
    ]
    schemas = {"json_schema_2020_12_tool": SCHEMA_2020}
    return types.ListToolsResult(
        tools=[types.Tool(name=each, description=each, input_schema=schemas.get(each, EMPTY)) for each in names]
    )


async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> Any:
    """One of them."""
    name, given = params.name, params.arguments or {}
    if name in PLAIN:
        return types.CallToolResult(content=PLAIN[name])
    if name in QUESTIONS:
        return await ask(ctx, params)
    if name == "test_error_handling":
        return types.CallToolResult(
            content=[text("This tool intentionally returns an error for testing")], is_error=True
        )
    if name == "test_sampling":
        message = types.SamplingMessage(role="user", content=text(str(given.get("prompt", ""))))
        said = await ctx.session.create_message([message], max_tokens=100)
        return types.CallToolResult(content=[text(f"LLM response: {said.content}")])
    for step, told in ((0, "started"), (50, "processing data"), (100, "completed")):
        if name == "test_tool_with_logging":
            await ctx.session.send_log_message("info", f"Tool execution {told}", related_request_id=ctx.request_id)
        else:
            await ctx.session.report_progress(step, 100)
        await anyio.sleep(0.05)
    return types.CallToolResult(content=[text("done")])


async def ask(ctx: Context, params: types.CallToolRequestParams) -> Any:
    """A tool that asks the user, in either generation."""
    schema = {"type": "object", "properties": QUESTIONS[params.name], "required": []}
    question = str((params.arguments or {}).get("message", "Please answer"))
    if ctx.session.can_send_request:
        answer: Any = await ctx.session.elicit_form(question, schema, ctx.request_id)
    else:
        asked = types.ElicitRequest(params=types.ElicitRequestFormParams(message=question, requested_schema=schema))
        answer = (params.input_responses or {}).get("q")
        if answer is None:
            return types.InputRequiredResult(input_requests={"q": asked})
    told = "User response: " if params.name == "test_elicitation" else "Elicitation completed: "
    return types.CallToolResult(content=[text(f"{told}action={answer.action}, content={json.dumps(answer.content)}")])


async def list_resources(*_: Any) -> types.ListResourcesResult:
    """Resources."""
    kinds = {
        "test://static-text": "text/plain",
        "test://static-binary": "image/png",
        "test://watched-resource": "text/plain",
    }
    return types.ListResourcesResult(
        resources=[types.Resource(uri=uri, name=uri, description=uri, mime_type=kind) for uri, kind in kinds.items()]
    )


async def list_templates(*_: Any) -> types.ListResourceTemplatesResult:
    """One template."""
    return types.ListResourceTemplatesResult(
        resource_templates=[types.ResourceTemplate(uri_template="test://template/{id}/data", name="template")]
    )


async def read_resource(_: Any, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    """One of them."""
    uri = str(params.uri)
    found = re.fullmatch("test://template/([^/]*)/data", uri)
    if uri == "test://static-binary":
        return types.ReadResourceResult(
            contents=[types.BlobResourceContents(uri=uri, blob=PICTURE, mime_type="image/png")]
        )
    told = "This is the content of the static text resource."
    if found is not None:
        told = json.dumps({"id": found[1], "templateTest": True, "data": f"Data for ID: {found[1]}"})
    kind = "text/plain" if found is None else "application/json"
    return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, text=told, mime_type=kind)])


async def list_prompts(*_: Any) -> types.ListPromptsResult:
    """Prompts."""
    return types.ListPromptsResult(
        prompts=[
            types.Prompt(
                name=name,
                description=name,
                arguments=[types.PromptArgument(name=each, description=each, required=True) for each in arguments],
            )
            for name, arguments in PROMPTS.items()
        ]
    )


async def get_prompt(_: Any, params: types.GetPromptRequestParams) -> types.GetPromptResult:
    """One of them."""
    given = params.arguments or {}
    told: dict[str, list[Any]] = {
        "test_simple_prompt": [text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments": [
            text(f"Prompt with arguments: arg1='{given.get('arg1')}', arg2='{given.get('arg2')}'")
        ],
        "test_prompt_with_embedded_resource": [
            embedded(given.get("resourceUri", "test://example-resource"), "Embedded resource content for testing."),
            text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image": [IMAGE, text("Please analyze the image above.")],
    }
    return types.GetPromptResult(
        messages=[types.PromptMessage(role="user", content=each) for each in told[params.name]]
    )


async def complete(*_: Any) -> types.CompleteResult:
    """Completions."""
    return types.CompleteResult(completion=types.Completion(values=["paris", "park"], total=150, has_more=False))


async def nothing(*_: Any) -> types.EmptyResult:
    """Subscriptions and levels of logs."""
    return types.EmptyResult()


def fixture() -> Server[Any]:
    """The server that the suite's scenarios expect."""
    return Server(
        "conformance",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_subscribe_resource=nothing,
        on_unsubscribe_resource=nothing,
        on_subscriptions_listen=ListenHandler(InMemorySubscriptionBus()),
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
        on_set_logging_level=nothing,
    )


async def stdio() -> None:
    """Serve the client that started this process."""
    server = fixture()
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def http(port: int) -> None:
    """Serve HTTP."""
    uvicorn.run(fixture().streamable_http_app(host="127.0.0.1"), host="127.0.0.1", port=port, log_level="error")


@contextmanager
def serving(words: list[str], port: int, env: dict[str, str]) -> Iterator[str]:
    """A server in a process of its own; its URL."""
    with subprocess.Popen([sys.executable, *words], env=env) as process:
        try:
            until = time.monotonic() + 30
            while time.monotonic() < until:
                with socket.socket() as trying:
                    if trying.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.terminate()


def scenarios(command: Path, url: str) -> dict[str, bool]:
    """Which of the suite's scenarios pass."""
    with tempfile.TemporaryDirectory(prefix="ag-") as folder:
        done = subprocess.run(
            [str(command), "server", "--url", url], cwd=folder, capture_output=True, text=True, timeout=300, check=False
        )
    found = re.findall(r"^([✓✗]) ([a-z0-9-]+): ", done.stdout, re.MULTILINE)
    return {name: mark == "✓" for mark, name in found}


def main() -> None:
    """Run the suite twice, and compare."""
    parsed = argparse.ArgumentParser()
    parsed.add_argument("what", help="the command of the suite; or stdio, or http, to serve its fixture")
    parsed.add_argument("port", nargs="?", type=int, default=0)
    given = parsed.parse_args()
    if given.what == "stdio":
        return anyio.run(stdio)
    if given.what == "http":
        return http(given.port)
    command = Path(given.what).resolve()
    with tempfile.TemporaryDirectory(prefix="ag-") as name:
        folder = Path(name)
        (folder / "policies").mkdir()
        (folder / "policies" / "policy.yaml").write_text(POLICY)
        env = {**os.environ, "AGENTGUARD_STATE_DIR": f"{name}/state", "AGENTGUARD_CONFIG_DIR": f"{name}/config"}
        free = [_free_port(), _free_port()]
        with serving([str(ME), "http", str(free[0])], free[0], env) as url:
            bare = scenarios(command, url)
        options = ["--policies", f"{name}/policies", "--user", "ann", "--listen", f"127.0.0.1:{free[1]}"]
        words = ["-m", "agentguard", "mcp", *options, "--", sys.executable, str(ME), "stdio"]
        with serving(words, free[1], env) as url:
            guarded = scenarios(command, url)
        stop_left_over(folder / "state")
    for scenario in sorted(bare.keys() | guarded.keys()):
        marks = [{True: "passes", False: "FAILS", None: "missing"}[each.get(scenario)] for each in (bare, guarded)]
        print(f"  {scenario:<36}{marks[0]:<10}{marks[1]}{'  (not passed on)' if scenario in NOT_PASSED_ON else ''}")
    print(f"bare {sum(bare.values())} of {len(bare)}, behind the guard {sum(guarded.values())} of {len(guarded)}")
    lost = [each for each, passes in bare.items() if passes and not guarded.get(each) and each not in NOT_PASSED_ON]
    sys.exit(1 if lost or not bare else 0)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


if __name__ == "__main__":
    main()
