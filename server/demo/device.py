"""A signed-in device of the demo visit, over HTTP alone: what it pulls and pushes, and how a refusal is said."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import httpx

SCHEMA_VERSION = 1
WORKER_SECONDS = 60
T = TypeVar("T")
Document = dict[str, Any]


class StepFailed(Exception):
    """What went wrong, in the server's own code and words where it is the server that refused."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}" if code else sentence)


def open_client(url: str) -> httpx.AsyncClient:
    # The proxies of the environment are for the world outside, not for a server on this machine.
    return httpx.AsyncClient(base_url=url, trust_env=False, timeout=30, headers={"Accept-Language": "en"})


class Device:
    """One device that has signed in, with what it has pulled so far: `documents[collection][id]`."""

    def __init__(self, client: httpx.AsyncClient, signed_in: Document) -> None:
        self.client = client
        self.person_id: str = signed_in["personId"]
        self.name: str = signed_in["name"]
        self.documents: dict[str, dict[str, Document]] = {}
        self.checkpoints: dict[str, Document] = {}
        client.headers["Authorization"] = f"Bearer {signed_in['accessToken']}"

    async def get(self, path: str, **query: Any) -> Any:
        return read_answer(await self.client.get(path, params=query))

    async def post(self, path: str, body: Any = None, **more: Any) -> Any:
        return read_answer(await self.client.post(path, json=body, **more))

    async def pull(self, collection: str) -> dict[str, Document]:
        """Everything new since the last checkpoint, page by page; what the device then holds."""
        held = self.documents.setdefault(collection, {})
        path = f"/field/v1/sync/{collection}/{SCHEMA_VERSION}/pull"
        while True:
            page = await self.get(path, **self.checkpoints.get(collection, {}), limit=200)
            self.checkpoints[collection] = page["checkpoint"]
            for document in page["documents"]:
                if document.get("_deleted"):
                    held.pop(document["id"], None)
                else:
                    held[document["id"]] = document
            if not page["documents"]:
                return held

    async def push(self, collection: str, documents: Iterable[Document]) -> None:
        """Raises StepFailed for the first row that did not go through, with the server's reason."""
        rows = [{"newDocumentState": document} for document in documents]
        refused = await self.post(f"/field/v1/sync/{collection}/{SCHEMA_VERSION}/push", rows)
        for item in refused:
            result = item.get("server", {}).get("problem")
            raise (
                _from_problem(result["en"]) if result else StepFailed("conflict", f"{collection} {item['id']} differs")
            )


def read_answer(response: httpx.Response) -> Any:
    if response.is_success:
        return response.json() if response.content else None
    try:
        raise _from_problem(response.json())
    except (ValueError, KeyError, TypeError):
        raise StepFailed(f"HTTP {response.status_code}", response.text[:200]) from None


def _from_problem(problem: Document) -> StepFailed:
    places = "; ".join(f"{item['pointer']} {item['code']}" for item in problem.get("errors") or [])
    sentence = ". ".join(part.rstrip(".") for part in (problem["title"], problem.get("detail"), places) if part)
    return StepFailed(problem["code"], sentence)


async def wait_for(what: str, look: Callable[[], Awaitable[T | None]]) -> T:
    """Look until there is something to see; the worker has WORKER_SECONDS."""
    ends_at = time.monotonic() + WORKER_SECONDS
    while (seen := await look()) is None:
        if time.monotonic() > ends_at:
            raise StepFailed("timeout", f"{what}: still not so after {WORKER_SECONDS} s (is the worker running?)")
        await asyncio.sleep(0.1)
    return seen
