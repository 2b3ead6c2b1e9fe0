"""A signed-in device of the demo visit: pull, push and error texts, over HTTP alone."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import httpx

SCHEMA_VERSION = 1
WORKER_TIMEOUT_S = 60
T = TypeVar("T")
Document = dict[str, Any]


class StepFailed(Exception):
    """A step failed; with the server's error code and text when the server refused."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}" if code else sentence)


def open_client(url: str) -> httpx.AsyncClient:
    # Ignore the environment's proxies: the server is usually on this machine.
    return httpx.AsyncClient(base_url=url, trust_env=False, timeout=30, headers={"Accept-Language": "en"})


class Device:
    """A device that has signed in, with the documents pulled so far: `documents[collection][id]`."""

    def __init__(self, client: httpx.AsyncClient, signed_in: Document) -> None:
        self.client = client
        self.person_id: str = signed_in["personId"]
        self.name: str = signed_in["name"]
        self.documents: dict[str, dict[str, Document]] = {}
        self.checkpoints: dict[str, Document] = {}
        client.headers["Authorization"] = f"Bearer {signed_in['accessToken']}"

    async def get(self, path: str, **query: Any) -> Any:
        return read_response(await self.client.get(path, params=query))

    async def post(self, path: str, body: Any = None, **more: Any) -> Any:
        return read_response(await self.client.post(path, json=body, **more))

    async def pull(self, collection: str) -> dict[str, Document]:
        """Pull everything since the last checkpoint, page by page; return all documents that the device holds."""
        documents = self.documents.setdefault(collection, {})
        path = f"/field/v1/sync/{collection}/{SCHEMA_VERSION}/pull"
        while True:
            page = await self.get(path, **self.checkpoints.get(collection, {}), limit=200)
            self.checkpoints[collection] = page["checkpoint"]
            for document in page["documents"]:
                if document.get("_deleted"):
                    documents.pop(document["id"], None)
                else:
                    documents[document["id"]] = document
            if not page["documents"]:
                return documents

    async def push(self, collection: str, documents: Iterable[Document]) -> None:
        """Push the documents; raise StepFailed with the server's reason for the first refused row."""
        rows = [{"newDocumentState": document} for document in documents]
        refused = await self.post(f"/field/v1/sync/{collection}/{SCHEMA_VERSION}/push", rows)
        for document in refused:
            if problem := document.get("server", {}).get("problem"):
                raise _from_problem(problem["en"])
            raise StepFailed("conflict", f"{collection} {document['id']} differs")


def read_response(response: httpx.Response) -> Any:
    if response.is_success:
        return response.json() if response.content else None
    try:
        raise _from_problem(response.json())
    except (ValueError, KeyError, TypeError):
        raise StepFailed(f"HTTP {response.status_code}", response.text[:200]) from None


def _from_problem(problem: Document) -> StepFailed:
    fields = "; ".join(f"{error['pointer']} {error['code']}" for error in problem.get("errors") or [])
    sentence = ". ".join(part.rstrip(".") for part in (problem["title"], problem.get("detail"), fields) if part)
    return StepFailed(problem["code"], sentence)


async def wait_for(what: str, poll: Callable[[], Awaitable[T | None]]) -> T:
    """Poll until the result is not None; raise StepFailed after WORKER_TIMEOUT_S."""
    deadline = time.monotonic() + WORKER_TIMEOUT_S
    while (result := await poll()) is None:
        if time.monotonic() > deadline:
            raise StepFailed("timeout", f"{what}: not within {WORKER_TIMEOUT_S} s (is the worker running?)")
        await asyncio.sleep(0.1)
    return result
