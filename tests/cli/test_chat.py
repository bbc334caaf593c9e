"""A single question and its answer."""

from __future__ import annotations

import json

import pytest
from cli.conftest import KEY
from cli.running import Gateway, run
from google.protobuf.json_format import Parse

from trunkline.core.fold import fold
from trunkline.v1.chat_pb2 import FINISH_REASON_STOP, ChatEvent, ChatResponse

WIRES = ("grpc", "http")


def _at(gateway: Gateway, wire: str) -> tuple[str, str]:
    return gateway.grpc if wire == "grpc" else gateway.http


@pytest.mark.parametrize("wire", WIRES)
def test_the_answer_alone_is_on_stdout(gateway: Gateway, wire: str) -> None:
    """The answer goes to stdout, its cost to stderr."""
    done = run("chat", "Hello there", *_at(gateway, wire))
    assert (done.returncode, done.stdout) == (0, "Hello there\n")
    assert "tokens: " in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("wire", WIRES)
def test_quiet_says_nothing_else(gateway: Gateway, wire: str) -> None:
    """With `--quiet`, and without streaming, too, stderr stays empty."""
    done = run("chat", "Hello there", "-q", "--no-stream", *_at(gateway, wire))
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello there\n", "")


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_the_message_may_be_piped(gateway: Gateway, arguments: tuple[str, ...]) -> None:
    """Without an argument, and for `-`, the message is all of stdin."""
    done = run("chat", *arguments, *gateway.grpc, stdin="two\nlines ü")
    assert done.stdout == "two\nlines ü\n"


@pytest.mark.parametrize(
    ("stdin", "message"), [(b"", "There is no message"), (b" \n", "There is no message"), (b"\xff", "no UTF-8")]
)
def test_a_message_that_cannot_be_sent(stdin: bytes, message: str) -> None:
    """No message is a usage error, told before any gateway is asked."""
    done = run("chat", stdin=stdin)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize("wire", WIRES)
def test_json_events_fold_into_the_response(gateway: Gateway, wire: str) -> None:
    """`--json` writes one event a line, `--no-stream` the response, and the former fold into the like of the latter."""
    stream = run("chat", "Hello there", "--json", *_at(gateway, wire))
    whole = run("chat", "Hello there", "--json", "--no-stream", *_at(gateway, wire))
    events = [Parse(line, ChatEvent()) for line in stream.stdout.splitlines()]
    folded, response = fold(events), Parse(whole.stdout, ChatResponse())
    assert folded.choices == response.choices
    assert folded.usage == response.usage
    assert folded.choices[0].finish.reason == FINISH_REASON_STOP
    assert (stream.stderr, whole.stderr) == ("", "")


@pytest.mark.parametrize("wire", WIRES)
def test_options_reach_the_model(gateway: Gateway, wire: str) -> None:
    """Each option is in the request that the provider gets."""
    done = run(
        *("chat", "Hi", "-m", "sim/request", "--system", "Be brief.", "--temperature", "0"),
        *("--max-tokens", "4096", "--reasoning", "low", *_at(gateway, wire)),
    )
    asked = json.loads(done.stdout)
    assert [message["content"] for message in asked["messages"]] == ["Be brief.", "Hi"]
    assert (asked["temperature"], asked["reasoning_effort"]) == (0, "low")
    assert 4096 in (asked.get("max_tokens"), asked.get("max_completion_tokens"))


def test_reasoning_is_no_part_of_the_answer(gateway: Gateway) -> None:
    """The reasoning goes to stderr."""
    done = run("chat", "Hello", "-m", "sim/reasoning", *gateway.grpc)
    assert done.stdout == "Hello\n"
    assert len(done.stderr.splitlines()) > 1


def test_the_model_comes_from_the_environment(gateway: Gateway) -> None:
    """`TRUNKLINE_MODEL` names the model where `--model` does not."""
    assert "sorry" in run("chat", "Hi", *gateway.grpc, TRUNKLINE_MODEL="sim/refusal").stdout
    assert run("chat", "Hi", "-m", "sim/echo", *gateway.grpc, TRUNKLINE_MODEL="sim/refusal").stdout == "Hi\n"


@pytest.mark.parametrize("address", [("--grpc", "127.0.0.1:1"), ("--http", "http://127.0.0.1:1")])
def test_no_gateway(address: tuple[str, str]) -> None:
    """Where none answers, the message says where it was looked for and how to start one."""
    done = run("chat", "Hi", *address)
    assert (done.returncode, done.stdout) == (3, "")
    assert "127.0.0.1:1" in done.stderr
    assert "nothing listens there" in done.stderr
    assert "trunkline serve" in done.stderr


def test_the_wrong_port(gateway: Gateway) -> None:
    """HTTP asked of the gRPC port, and the reverse, end with a message, not with a traceback."""
    http_at_grpc = run("chat", "Hi", "--http", f"http://{gateway.grpc[1]}")
    grpc_at_http = run("chat", "Hi", "--grpc", gateway.http[1].removeprefix("http://"))
    assert (http_at_grpc.returncode, grpc_at_http.returncode) == (3, 3)
    assert "Traceback" not in http_at_grpc.stderr + grpc_at_http.stderr


@pytest.mark.parametrize("wire", WIRES)
def test_a_key_is_asked_for(locked: Gateway, wire: str) -> None:
    """Without a key the message says how to give one; with it, all is well; a wrong one is named as such."""
    without = run("chat", "Hi", *_at(locked, wire))
    assert without.returncode == 1
    assert "TRUNKLINE_KEY" in without.stderr
    wrong = run("chat", "Hi", *_at(locked, wire), TRUNKLINE_KEY="sk-wrong")
    assert wrong.returncode == 1
    assert "does not know the key" in wrong.stderr
    assert "sk-wrong" not in wrong.stderr
    assert run("chat", "Hi", *_at(locked, wire), TRUNKLINE_KEY=KEY).stdout == "Hi\n"
    assert run("chat", "Hi", *_at(locked, wire), "--key", KEY).stdout == "Hi\n"


@pytest.mark.parametrize("wire", WIRES)
def test_near_misses_of_a_model(gateway: Gateway, wire: str) -> None:
    """A name that is nearly right is answered with the right one, as it is to be typed."""
    done = run("chat", "Hi", "-m", "sim/ecko", *_at(gateway, wire))
    assert done.returncode == 1
    assert "`sim/echo`" in done.stderr
    assert "trunkline models" in done.stderr


@pytest.mark.parametrize("wire", WIRES)
def test_when_to_try_again(gateway: Gateway, wire: str) -> None:
    """A limit that was met is told with the time to wait."""
    done = run("chat", "Hi", "-m", "sim/fault/rate-limit", *_at(gateway, wire))
    assert done.returncode == 1
    assert "Try again in 1 s." in done.stderr


@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_that_breaks_off_is_an_error(gateway: Gateway, wire: str) -> None:
    """What was written stays on stdout, and the status tells that it is not whole."""
    done = run("chat", "one two three four", "-m", "sim/fault/cut", *_at(gateway, wire))
    assert done.returncode == 1
    assert done.stdout.startswith("one")
    assert "error: " in done.stderr


@pytest.mark.parametrize("wire", WIRES)
def test_errors_for_programs(gateway: Gateway, wire: str) -> None:
    """With `--json` an error is one line of JSON on stderr, with its reason."""
    done = run("chat", "Hi", "-m", "nope/nothing", "--json", *_at(gateway, wire))
    assert (done.returncode, done.stdout) == (1, "")
    error = json.loads(done.stderr)["error"]
    assert (error["reason"], error["param"]) == ("NOT_FOUND", "model")
