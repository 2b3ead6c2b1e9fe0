"""Phones with the real RxDB in them: a Node process that holds any number of phones (`phones.mjs`)."""

import asyncio
import contextlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).resolve().parent
NODE = Path(sys.executable).parent
LONGEST_ANSWER = 64 * 1024 * 1024
Json = dict[str, Any]


def _environ() -> dict[str, str]:
    return os.environ | {"PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}"}


class Handset:
    """One phone: a database of RxDB and its replications. `do("sync")` and the rest are commands of phones.mjs."""

    def __init__(self, phones: "Phones", name: str) -> None:
        self.phones = phones
        self.name = name

    async def do(self, command: str, **words: Any) -> Any:
        return await self.phones.ask(command, phone=self.name, **words)

    async def sync(self) -> None:
        await self.do("sync")

    async def documents(self, collection: str) -> dict[str, Json]:
        return await self.do("documents", collection=collection)

    async def insert(self, collection: str, *documents: Json) -> None:
        await self.do("insert", collection=collection, documents=documents)

    async def patch(self, collection: str, doc_id: str, **change: Any) -> None:
        await self.do("patch", collection=collection, id=doc_id, change=change)


class Phones:
    """The Node process. What RxDB throws outside of any command fails the test at the end."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self.unhandled: list[str] = []

    async def __aenter__(self) -> Self:
        assert (HERE / "node_modules").is_dir(), "run `make set-up-test` first: it installs the clients"
        self._process = await asyncio.create_subprocess_exec(
            str(NODE / "node"),
            str(HERE / "phones.mjs"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=LONGEST_ANSWER,
            env=_environ(),
        )
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), 5)
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        await self._listening

    async def phone(self, name: str, url: str, token: str, **options: Any) -> Handset:
        await self.ask("open", phone=name, url=url, token=token, **options)
        return Handset(self, name)

    async def ask(self, command: str, *, seconds: float = 30, **words: Any) -> Any:
        number = next(self._numbers)
        answered = self._asked[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"number": number, "do": command, **words}).encode() + b"\n")
        return await asyncio.wait_for(answered, seconds)

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if not line.startswith(b"@"):
                continue
            result = json.loads(line[1:])
            if result["number"] is None:
                self.unhandled.append(result["unhandled"])
            elif "error" in result:
                self._asked.pop(result["number"]).set_exception(AssertionError(result["error"]))
            else:
                self._asked.pop(result["number"]).set_result(result["result"])
        for waiting in self._asked.values():
            waiting.cancel()
