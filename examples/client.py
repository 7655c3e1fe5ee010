#!/usr/bin/env python3
"""Parley without a client library: the standard library for REST, `websockets` (10 or later) for the rest.

    python3 examples/client.py http://localhost:8080

Registers somebody new, makes a room, sends three messages and reads them back from the socket, one of them twice: the same
id stays one message. Ends with the history.
"""

import asyncio
import json
import sys
import urllib.request
import uuid

import websockets

URL = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8080"


def rest(method, path, body=None, token=None):
    """The `data` of an answer; urllib raises HTTPError on a refusal."""
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{URL}/api/v1{path}", data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["data"]


async def until(socket, wanted):
    """The next frame of a type. Others may come between: a client ignores what it doesn't know."""
    async for text in socket:
        frame = json.loads(text)
        if frame["type"] == "error":
            raise RuntimeError(frame["payload"])
        if frame["type"] == wanted:
            return frame
    raise ConnectionError("the socket was closed")


async def main():
    name = f"py-{uuid.uuid4().hex[:8]}"
    token = rest("POST", "/auth/register", {
        "username": name, "email": f"{name}@example.org", "password": uuid.uuid4().hex,
    })["token"]
    room = rest("POST", "/rooms", {"name": f"Room of {name}", "type": "public"}, token)["id"]

    address = URL.replace("http", "ws", 1) + "/api/v1/ws"
    async with websockets.connect(address, subprotocols=["parley.json", f"bearer.{token}"]) as socket:
        await until(socket, "welcome")
        await socket.send(json.dumps({"type": "join_room", "room_id": room, "payload": {"since": 0}}))
        print("joined at rev", (await until(socket, "joined"))["payload"]["head_rev"])
        for content in ["one", "two", "three"]:
            frame = {"type": "send_message", "room_id": room, "payload": {"id": str(uuid.uuid4()), "content": content}}
            await socket.send(json.dumps(frame))
            event = await until(socket, "new_message")
            print("rev", event["rev"], event["payload"]["message"]["content"])
        await socket.send(json.dumps(frame))
        while not (ack := (await until(socket, "message_ack"))["payload"])["duplicate"]:
            pass
        print("again:", "number", ack["seq_no"], "as before")

    history = rest("GET", f"/rooms/{room}/messages", token=token)
    print("history:", ", ".join(m["content"] for m in reversed(history)))


asyncio.run(main())
