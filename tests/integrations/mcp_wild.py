"""A server of the older protocol that misbehaves, written by hand: run as a script it speaks stdio.

When it hangs it makes the file that is its argument.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

EMAIL = "mira.jansen@mail.example"
TOOLS = ("fine", "noise", "die", "hang", "huge", "late", "twice", "odd", "slow", "slow_result", "asks", "hidden")
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
SLOW = {"type": "object", "properties": {"text": {"type": "string", "pattern": "^(a+)+$"}}}
TEXT = "a" * 5_000 + "!"
HIDDEN = "Reads\u200b one thing.\U000e0041"


def say(message: Any) -> None:
    """One line of the protocol."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def result_of(name: str, arguments: Any, request: Any) -> Any:
    """What a tool gives, or what it does instead."""
    match name:
        case "noise":
            for line in (
                "not JSON",
                '{"jsonrpc": "2.0", "id": 1',
                "[]",
                '{"jsonrpc": "2.0", "id": 9999, "result": {}}',
                '{"jsonrpc": "2.0", "method": "notifications/none", "params": {"to": "mira.jansen@mail.example"}}',
                '{"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}',
                "\ud800".encode("utf-16", "surrogatepass").decode("latin-1"),
            ):
                sys.stdout.write(line + "\n")
        case "die":
            os._exit(3)
        case "hang":
            Path(sys.argv[1]).touch()
            time.sleep(3600)
        case "huge":
            return {"content": [{"type": "text", "text": ("x" * 1000 + f" {EMAIL} ") * 3000}]}
        case "twice":
            say({"id": request, "result": {"content": [{"type": "text", "text": "first"}]}})
        case "slow_result":
            return {"content": [], "structuredContent": {"text": TEXT}}
        case "asks":
            wanted = {"type": "object", "properties": {"size": {"type": "string"}}}
            say(
                {
                    "id": "q",
                    "method": "elicitation/create",
                    "params": {"message": f"For {EMAIL}?", "requestedSchema": wanted},
                }
            )
            said = json.loads(sys.stdin.readline())["result"]
            return {"content": [{"type": "text", "text": f"{said['action']} {said.get('content')}"}]}
        case "odd":
            return {"content": "no list", "structuredContent": 7, "to": EMAIL}
    return {"content": [{"type": "text", "text": f"{name} {json.dumps(arguments)} {EMAIL}"}]}


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        method, request, params = asked.get("method"), asked.get("id"), asked.get("params", {})
        match method:
            case "initialize":
                info = {"name": "wild", "version": "1"}
                capable = {"tools": {"listChanged": True}}
                version = params["protocolVersion"]
                say(
                    {"id": request, "result": {"protocolVersion": version, "capabilities": capable, "serverInfo": info}}
                )
            case "tools/list":
                tools = [{"name": name, "description": name, "inputSchema": SCHEMA} for name in TOOLS]
                tools[-1]["description"] = HIDDEN
                next(tool for tool in tools if tool["name"] == "slow")["inputSchema"] = SLOW
                next(tool for tool in tools if tool["name"] == "slow_result")["outputSchema"] = SLOW
                tools.append({"name": "no name of a tool", "description": EMAIL, "inputSchema": SCHEMA})
                say({"id": request, "result": {"tools": tools}})
            case "tools/call":
                say({"id": request, "result": result_of(params["name"], params.get("arguments"), request)})
            case _ if request is not None:
                say({"id": request, "error": {"code": -32601, "message": "no such method"}})


if __name__ == "__main__":
    main()
