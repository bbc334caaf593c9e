"""The contract is typed: what a caller forgets or misspells, mypy tells."""

from __future__ import annotations

import subprocess
import sys

import pytest
from contract.installed import Installed

from trunkline.v1.content_pb2 import Part

KINDS = [field.name for field in Part.DESCRIPTOR.oneofs_by_name["kind"].fields]


def program(kinds: list[str]) -> str:
    """A function that looks at every one of these kinds and believes that there is no other."""
    cases = "".join(f'        case "{kind}":\n            return str(part.{kind})\n' for kind in kinds)
    return (
        "from typing import assert_never\n\n"
        "from trunkline.v1.content_pb2 import Part\n\n\n"
        "def show(part: Part) -> str:\n"
        '    match part.WhichOneof("kind"):\n'
        f"{cases}"
        "        case None:\n"
        '            return ""\n'
        "        case other:\n"
        "            assert_never(other)\n"
    )


CALL = """\
import grpc

from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse
from trunkline.v1.chat_pb2_grpc import ChatServiceAsyncStub, ChatServiceStub


def ask(channel: grpc.Channel) -> ChatResponse:
    return ChatServiceStub(channel).Chat(ChatRequest(model="sim/echo"))


async def stream(channel: grpc.aio.Channel) -> list[str]:
    stub: ChatServiceAsyncStub = ChatServiceStub(channel)
    return [event.part_delta.text async for event in stub.StreamChat(ChatRequest(model="sim/echo"))]
"""
PROGRAMS = {
    "complete.py": program(KINDS),
    "call.py": CALL,
    "misspelt.py": 'from trunkline.v1.chat_pb2 import ChatRequest\n\nChatRequest(modle="sim/echo")\n',
    **{f"forgets_{kind}.py": program([other for other in KINDS if other != kind]) for kind in KINDS},
}


@pytest.fixture(scope="module")
def verdict(contracts: Installed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What mypy says of each program that uses the installed contract."""
    folder = tmp_path_factory.mktemp("callers")
    for name, text in PROGRAMS.items():
        (folder / name).write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache"]
    command += ["--python-executable", str(contracts.python), *PROGRAMS]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 1, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    return {name: "\n".join(line for line in lines if line.startswith(f"{name}:")) for name in PROGRAMS}


@pytest.mark.parametrize("name", ["complete.py", "call.py"])
def test_a_right_program_passes(verdict: dict[str, str], name: str) -> None:
    """A program that handles every kind, or calls with the stubs, is right in strict mode."""
    assert verdict[name] == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_forgotten_kind_is_an_error(verdict: dict[str, str], kind: str) -> None:
    """A `match` without one of the kinds fails at its `assert_never`, which names it."""
    assert 'Argument 1 to "assert_never"' in verdict[f"forgets_{kind}.py"]
    assert f"'{kind}'" in verdict[f"forgets_{kind}.py"]


def test_a_misspelt_field_is_an_error(verdict: dict[str, str]) -> None:
    """A field that does not exist is no argument of its message."""
    assert 'Unexpected keyword argument "modle"' in verdict["misspelt.py"]


def test_kinds_are_those_of_the_contract() -> None:
    """The programs above forget each kind that there is."""
    assert {"text", "media", "reasoning", "tool_call", "tool_result", "opaque"} <= set(KINDS)
