"""What is special about the provider `bedrock`, against a server that is as strict as Bedrock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import pytest
import trustme
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from botocore.session import Session
from fakes import aws_door
from fakes.bedrock_rules import CLAUDE, LLAMA, MODELS, NOVA, TITAN, seal, sign
from fakes.bedrock_server import PROFILES, BedrockServer
from providers.house import House, answering, asking, calling, house_of, provider_of, texts_of

from trunkline.call import Loss, LossKind
from trunkline.config.model import ProviderConfig
from trunkline.errors import GatewayError
from trunkline.providers import aws_signer, bedrock
from trunkline.providers.aws_signer import AwsSigner
from trunkline.providers.build import build_providers
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import Function, ReasoningConfig, Tool, ToolChoice
from trunkline.v1.content_pb2 import Media, Message, Part

TOOLS = [Tool(function=Function(name=name)) for name in ("weather", "time")]

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": aws_door.ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": aws_door.SECRET_KEY,
    "AWS_REGION": aws_door.REGION,
}


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credential is found but those that a test puts there."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@dataclass(slots=True)
class Region:
    """The fake, and a gateway in front of it."""

    server: BedrockServer
    house: House


@pytest.fixture
async def region() -> AsyncIterator[Region]:
    """A gateway with a key of Bedrock's own."""
    async with BedrockServer() as server:
        provider = provider_of("bedrock", server.url, api_key=aws_door.BEARER)
        yield Region(server, house_of(provider))
        await provider.close()


@pytest.fixture
async def signing(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Region]:
    """A gateway that signs its requests."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    async with BedrockServer() as server:
        provider = provider_of("bedrock", server.url)
        yield Region(server, house_of(provider))
        await provider.close()


async def test_what_is_sent(region: Region) -> None:
    """The path and the key, and nothing in the body that nobody asked for; the answer has its id and its model."""
    call = calling()
    response = await region.house.ask(asking("Hello", model=CLAUDE), call)
    received = region.server.requests[0]
    assert (received.method, received.path) == ("POST", f"/model/{CLAUDE}/converse")
    assert received.headers["authorization"] == f"Bearer {aws_door.BEARER}"
    assert received.body == {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}
    assert (response.id, response.model, call.attempts[0].upstream_id) == ("req-1", CLAUDE, "req-1")


@pytest.mark.parametrize("streamed", [False, True])
async def test_signed_requests(signing: Region, streamed: bool) -> None:
    """Every request is signed, with the stream's, the lists' and the counts' own paths, however models are named."""
    response = await signing.house.ask(asking("Grüße", model=CLAUDE), streamed=streamed)
    assert texts_of(response) == ["You said: Grüße"]
    assert [model.id for model in await signing.house.provider.list_models()]
    arn = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a1b2"
    with pytest.raises(GatewayError) as caught:
        await signing.house.ask(asking("Hello", model=arn), streamed=streamed)
    # The signature was good: it is the model that nobody knows.
    assert caught.value.name == "NOT_FOUND"
    method = "converse-stream" if streamed else "converse"
    path = f"/model/arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile%2Fa1b2/{method}"
    assert signing.server.requests[-1].path == path
    assert all("bearer" not in one.headers["authorization"].lower() for one in signing.server.requests)


async def test_large_requests_are_signed(signing: Region) -> None:
    """Also those that are hashed in a thread."""
    text = "x" * 2_000_000
    response = await signing.house.ask(asking(text, model=CLAUDE))
    assert len(texts_of(response)[0]) > len(text)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "another secret"}, "PROVIDER_UNAUTHENTICATED"),
        ({"AWS_ACCESS_KEY_ID": "AKIAOTHER"}, "PROVIDER_UNAUTHENTICATED"),
        ({"AWS_REGION": "us-east-1"}, "PROVIDER_UNAUTHENTICATED"),
        ({"AWS_ACCESS_KEY_ID": ""}, "PROVIDER_UNAUTHENTICATED"),
    ],
)
async def test_credentials_that_are_wrong(monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], name: str) -> None:
    """Are the gateway's own fault; nothing of them, or of the account, is told."""
    for key, value in (CREDENTIALS | changed).items():
        monkeypatch.setenv(key, value)
    async with BedrockServer() as server:
        provider = provider_of("bedrock", server.url)
        with pytest.raises(GatewayError) as caught:
            await house_of(provider).ask(asking("Hello", model=CLAUDE))
        await provider.close()
    assert caught.value.name == name
    assert not any(value in caught.value.message for value in (CREDENTIALS | changed).values() if value)


async def test_a_profile_of_the_shared_files(tmp_path: Path) -> None:
    """Gives credentials and region, and comes before a token of the environment."""
    (tmp_path / "config").write_text(f"[profile house]\nregion = {aws_door.REGION}\n")
    keys = f"aws_access_key_id = {aws_door.ACCESS_KEY}\naws_secret_access_key = {aws_door.SECRET_KEY}\n"
    (tmp_path / "credentials").write_text(f"[house]\n{keys}")
    async with BedrockServer() as server:
        provider = provider_of("bedrock", server.url, options={"profile": "house"})
        assert texts_of(await house_of(provider).ask(asking("Hello", model=CLAUDE))) == ["You said: Hello"]
        await provider.close()
        missing = provider_of("bedrock", server.url, options={"profile": "nobody", "region": aws_door.REGION})
        with pytest.raises(GatewayError) as caught:
            await house_of(missing).ask(asking("Hello", model=CLAUDE))
        await missing.close()
    assert caught.value.name == "PROVIDER_UNAUTHENTICATED"


async def test_a_token_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is presented where no key and no profile is configured."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", aws_door.BEARER)
    async with BedrockServer() as server:
        provider = provider_of("bedrock", server.url)
        assert texts_of(await house_of(provider).ask(asking("Hello", model=CLAUDE))) == ["You said: Hello"]
        await provider.close()


class Aging:
    """Credentials that botocore would renew, which grow old as the test says."""

    def __init__(self) -> None:
        self.left = 3600
        self.renewed = 0

    def refresh_needed(self, seconds: int) -> bool:
        return self.left < seconds


async def test_credentials_are_renewed_before_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that still serve are used while the next are fetched; those that have ended are waited for."""
    source, fetched = Aging(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def renewed(known: Any, profile: str | None) -> Any:
        source.renewed += 1
        source.left = 3600
        loop.call_soon_threadsafe(fetched.set)
        return source, aws_signer_credentials(source.renewed)

    monkeypatch.setattr(aws_signer, "_renewed", renewed)
    signer = AwsSigner("eu-central-1")

    async def key() -> str:
        headers = await signer.sign("POST", "http://h/model/m/converse", {}, b"{}")
        return headers["Authorization"].partition("Credential=")[2].partition("/")[0]

    assert set(await asyncio.gather(key(), key())) == {"AKIA1"}
    assert source.renewed == 1
    source.left = 600
    fetched.clear()
    assert await key() == "AKIA1"
    await fetched.wait()
    await signer._renewal  # type: ignore[misc]
    assert await key() == "AKIA2"
    source.left = 10
    assert await key() == "AKIA3"
    await signer.close()


def aws_signer_credentials(number: int) -> Any:
    """Credentials as botocore hands them out."""
    session = Session()
    session.set_credentials(f"AKIA{number}", "secret")
    return session.get_credentials().get_frozen_credentials()


async def test_models_are_listed(region: Region) -> None:
    """The models that answer on demand and every page of the profiles; the configured names are not asked for."""
    listed = [model.id for model in await region.house.provider.list_models()]
    assert listed == [*(name for name in MODELS if not name.startswith("us.")), *PROFILES]
    assert region.server.requests[-1].path.endswith("&nextToken=page%20two/%3D")
    named = provider_of("bedrock", region.server.url, api_key=aws_door.BEARER, models=["mine"])
    assert [model.id for model in await named.list_models()] == ["mine"]
    await named.close()


@pytest.mark.parametrize(("model", "estimated"), [(CLAUDE, False), (NOVA, True)])
async def test_tokens_are_counted(region: Region, model: str, estimated: bool) -> None:
    """By Bedrock, for the models for which it does; by an estimate that says so for the others."""
    counted = await region.house.gateway.count_tokens(asking("Hello", model=model, tools=TOOLS), calling())
    assert counted.estimated == estimated
    assert counted.input_tokens == 12 or estimated
    asked = region.server.requests[0].body["input"]["converse"]
    assert asked.keys() == {"messages", "toolConfig"}


@pytest.mark.parametrize("model", [CLAUDE, NOVA, LLAMA, TITAN])
async def test_what_openais_callers_send_is_taken(region: Region, model: str) -> None:
    """By every family of models: what one of them does not know is left out, and named."""
    request = asking(
        "Hello",
        "",
        "there",
        model=model,
        tools=TOOLS if model != TITAN else [],
        reasoning=ReasoningConfig(effort="high"),
        stop_sequences=["END", "\n"],
        parallel_tool_calls=False,
        max_output_tokens=30000,
        user="u",
        service_tier="auto",
    )
    request.sampling.temperature, request.sampling.top_p = 1.5, 0.9
    request.messages.insert(0, Message(role=content_pb2.ROLE_DEVELOPER, parts=[Part(text="Be kind.")]))
    request.messages.insert(2, Message(role=content_pb2.ROLE_SYSTEM, parts=[Part(text="Be brief.")]))
    call = calling()
    response = await region.house.ask(request, call)
    assert texts_of(response)[-1].startswith("You said: ")
    assert {Loss("user"), Loss("stop"), Loss("temperature", LossKind.APPROXIMATED)} & set(call.losses)


async def test_tools_that_are_gone(region: Region) -> None:
    """A history with calls needs tools: where the caller names none any more, those that were called stand for them."""
    request = asking("tools", model=CLAUDE, tools=TOOLS)
    message = (await region.house.ask(request)).choices[0].message
    request.messages.extend([message, *answering(message, ["5", "6"])])
    del request.tools[:]
    call = calling()
    await region.house.ask(request, call)
    assert call.losses == [Loss("tools", LossKind.APPROXIMATED)]


@pytest.mark.parametrize(("model", "lost"), [(CLAUDE, False), (LLAMA, True)])
async def test_models_that_cannot_be_forced(region: Region, model: str, lost: bool) -> None:
    """Are asked without it, which is told."""
    call = calling()
    await region.house.ask(asking("tools", model=model, tools=TOOLS, tool_choice=ToolChoice(name="time")), call)
    assert (Loss("tool_choice", LossKind.APPROXIMATED) in call.losses) == lost


async def test_one_call_at_a_time(region: Region) -> None:
    """Claude is held to it by its own setting."""
    request = asking("tools", model=CLAUDE, tools=TOOLS, parallel_tool_calls=False)
    response = await region.house.ask(request, calling(strict=True))
    assert sum(part.HasField("tool_call") for part in response.choices[0].message.parts) == 1


async def test_documents(region: Region) -> None:
    """Are given names that Bedrock takes, each its own, and a text where there is none beside them."""
    pdf = Media(media_type="application/pdf", uri="data:application/pdf;base64,JVBERi0=", filename="a_b/c?.pdf")
    request = asking(model=CLAUDE)
    request.messages.add(role=content_pb2.ROLE_USER, parts=[Part(media=pdf), Part(media=pdf)])
    await region.house.ask(request)
    content = region.server.requests[0].body["messages"][0]["content"]
    assert len({block["document"]["name"] for block in content if "document" in block}) == 2


@pytest.mark.parametrize(
    ("fields", "setting"),
    [({}, r"providers\.b\.options\.region"), ({"options": {"place": "eu"}}, r"providers\.b\.options\.place")],
)
def test_what_is_missing_or_unknown(fields: dict[str, Any], setting: str) -> None:
    """A region is needed where nothing tells it, and a misspelt option is no option."""
    with pytest.raises(ValueError, match=setting):
        build_providers({"b": ProviderConfig(kind="bedrock", **fields)})


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"options": {"region": "eu-west-1"}}, "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ({"options": {"region": "cn-north-1"}}, "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ({"base_url": "https://h/x/", "api_key": "k"}, "https://h/x"),
        ({"base_url": "https://bedrock-runtime-fips.us-east-2.amazonaws.com"}, None),
    ],
)
async def test_addresses(fields: dict[str, Any], url: str | None) -> None:
    """Each region has its address, which may tell the region; lists are asked for at the other plane."""
    provider = bedrock.make("b", ProviderConfig(kind="bedrock", **fields))
    url = url or str(fields["base_url"])
    assert provider._planes.url("/model/m/converse") == f"{url}/model/m/converse"
    assert provider._planes.url("/x") == f"{url.replace('//bedrock-runtime', '//bedrock')}/x"
    await provider.close()


@contextmanager
def amazons_client(
    server: BedrockServer, authority: Path, token: str | None, secret: str = aws_door.SECRET_KEY
) -> Iterator[Any]:
    """Amazon's own client, with a token of the environment or with credentials."""
    session = Session()
    if token is None:
        session.set_credentials(aws_door.ACCESS_KEY, secret)
    client = session.create_client(
        "bedrock-runtime",
        region_name=aws_door.REGION,
        endpoint_url=server.url,
        verify=str(authority),
        config=Config(retries={"max_attempts": 1}, parameter_validation=False),
    )
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[tuple[BedrockServer, Path]]:
    """The fake behind TLS, as botocore sends no token without, and the authority that vouches for it."""
    authority = trustme.CA()
    context = SSLContext(PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    async with BedrockServer(context) as server:
        yield server, tmp_path / "authority.pem"


def said(text: str) -> Any:
    """What a user says."""
    return [{"role": "user", "content": [{"text": text}]}]


def ask_by_botocore(client: Any) -> None:
    """Ask for all that the fake can answer. Blocks."""
    answer = client.converse(modelId=CLAUDE, messages=said("Hello"))
    assert answer["output"]["message"]["content"] == [{"text": "You said: Hello"}]
    assert answer["usage"]["totalTokens"] == 25
    spec = {"name": "weather", "inputSchema": {"json": {"type": "object", "properties": {"city": {}}}}}
    asked = {
        "modelId": CLAUDE,
        "messages": said("tools"),
        "inferenceConfig": {"maxTokens": 4000},
        "toolConfig": {"tools": [{"toolSpec": spec}]},
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
    }
    whole = client.converse(**asked)["output"]["message"]["content"]
    assert [next(iter(block)) for block in whole] == ["reasoningContent", "reasoningContent", "toolUse"]
    assert whole[0]["reasoningContent"]["reasoningText"]["signature"] == sign("I was asked: tools")
    with closing(client.converse_stream(**asked)["stream"]) as stream:
        events = list(stream)
    assert [next(iter(event)) for event in events][-2:] == ["messageStop", "metadata"]
    pieces = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    assert json.loads("".join(piece["toolUse"]["input"] for piece in pieces if "toolUse" in piece)) == {
        "city": "Zürich"
    }
    with pytest.raises(ClientError) as caught:
        client.converse(modelId=CLAUDE, messages=said("limited"))
    assert caught.value.response["Error"]["Code"] == "ThrottlingException"
    failing = client.converse_stream(modelId=CLAUDE, messages=said("fails"))["stream"]
    with closing(failing), pytest.raises(EventStreamError, match="modelStreamErrorException"):
        list(failing)
    counted = client.count_tokens(modelId=CLAUDE, input={"converse": {"messages": said("Hello")}})
    assert counted["inputTokens"] == 12


@pytest.mark.parametrize("token", [aws_door.BEARER, None])
async def test_amazons_own_client_accepts_the_fake(
    secure: tuple[BedrockServer, Path], monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    """The fake is a Bedrock to botocore, with a token and with signatures: answers, calls, streams and errors."""
    if token is not None:
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", token)
    with amazons_client(*secure, token) as client:
        await asyncio.to_thread(ask_by_botocore, client)


@pytest.mark.parametrize(
    ("token", "secret", "code"),
    [("wrong", "", "AccessDeniedException"), (None, "another", "InvalidSignatureException")],
)
async def test_strangers_are_turned_away(
    secure: tuple[BedrockServer, Path], monkeypatch: pytest.MonkeyPatch, token: str | None, secret: str, code: str
) -> None:
    """A wrong token is refused, as is a signature that was made with another secret."""
    if token is not None:
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", token)
    with amazons_client(*secure, token, secret or aws_door.SECRET_KEY) as client, pytest.raises(ClientError) as caught:
        await asyncio.to_thread(client.converse, modelId=CLAUDE, messages=said("Hello"))
    assert caught.value.response["Error"]["Code"] == code


CALL = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "a", "name": "f", "input": {}}}]}
RESULT = {"role": "user", "content": [{"toolResult": {"toolUseId": "a", "content": [{"text": "5"}]}}]}
CONFIG = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]}
IMAGE = {"image": {"format": "png", "source": {"bytes": "AAAA"}}}


def thought(signature: str) -> Any:
    """A conversation in which the model thought."""
    inner = {"reasoningText": {"text": "I was asked: a", "signature": signature}}
    return [
        *said("a"),
        {"role": "assistant", "content": [{"reasoningContent": inner}, {"text": "b"}]},
        *said("c"),
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"messages": [*said("a"), *said("b")]}, "alternate"),
        ({"messages": [{"role": "assistant", "content": [{"text": "a"}]}]}, "start with a user"),
        ({"messages": [{"role": "user", "content": []}]}, "empty"),
        ({"messages": said(" ")}, "blank"),
        ({"messages": [*said("a"), CALL, RESULT]}, "toolConfig field must be defined"),
        ({"messages": [*said("a"), CALL, *said("b")], "toolConfig": CONFIG}, "Expected toolResult"),
        ({"messages": [RESULT], "toolConfig": CONFIG}, "exceeds the number of toolUse"),
        ({"messages": said("a"), "max_tokens": 5}, "max_tokens"),
        ({"messages": [{"role": "user", "content": [{"words": "a"}]}]}, "words"),
        ({"messages": said("a"), "inferenceConfig": {"temperature": 1.5}}, "temperature"),
        ({"messages": said("a"), "inferenceConfig": {"stopSequences": [" "]}}, "non-whitespace"),
        ({"messages": said("a"), "toolConfig": {"tools": []}}, "tools"),
        ({"messages": said("a"), "serviceTier": {"type": "auto"}}, "enum"),
        ({"messages": [{"role": "user", "content": [{"image": {**IMAGE["image"], "format": "bmp"}}]}]}, "enum"),
        ({"messages": thought(sign("other"))}, "Invalid `signature`"),
    ],
)
async def test_the_fake_refuses_what_bedrock_refuses(region: Region, change: dict[str, Any], words: str) -> None:
    """In Bedrock's words, which the caller reads as an error of the request."""
    provider: Any = bedrock.make(
        "b", ProviderConfig(kind="bedrock", base_url=region.server.url, api_key=aws_door.BEARER)
    )
    provider.encode_request = lambda request, model, losses: change
    with pytest.raises(GatewayError, match=words) as caught:
        await house_of(provider).ask(asking("a", model=CLAUDE))
    await provider.close()
    assert caught.value.name == "INVALID_REQUEST"


async def test_the_fake_takes_what_bedrock_takes(region: Region) -> None:
    """Reasoning with its own signature, and with what is withheld of it."""
    withheld = {"role": "assistant", "content": [{"reasoningContent": {"redactedContent": seal(1)}}, {"text": "b"}]}
    for messages in (thought(sign("I was asked: a")), [*said("a"), withheld, *said("c")]):
        provider: Any = bedrock.make(
            "b", ProviderConfig(kind="bedrock", base_url=region.server.url, api_key=aws_door.BEARER)
        )
        body = {"messages": messages}
        provider.encode_request = lambda request, model, losses, body=body: body
        assert texts_of(await house_of(provider).ask(asking("a", model=CLAUDE))) == ["You said: c"]
        await provider.close()
