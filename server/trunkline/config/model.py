"""What can be configured: the settings, their defaults, their bounds and their meaning."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, FilePath, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from trunkline.config.access import AccessConfig, KeyConfig, PlanConfig
from trunkline.config.accounting import CountersConfig, LedgerConfig
from trunkline.config.address import Address
from trunkline.config.catalog import CatalogModelConfig
from trunkline.config.check import cross_check
from trunkline.config.plugins import PluginsConfig
from trunkline.config.routing import ModelConfig, RoutingConfig
from trunkline.config.section import Section
from trunkline.config.values import (
    Count,
    EncryptionKey,
    Grace,
    Headers,
    KeyLabel,
    Lifetime,
    ListenAddress,
    MountPath,
    Network,
    Origin,
    ProviderName,
    Queue,
    Ratio,
    Seconds,
    SecretText,
    Size,
    Text,
    Token,
    Url,
)

_MIB = 1024 * 1024


class TlsConfig(Section):
    """TLS at a listening address. Paths are relative to the working directory."""

    certificate: FilePath = Field(description="The certificate chain to present, a PEM file.")
    private_key: FilePath = Field(description="The certificate's private key, a PEM file without a password.")
    client_ca: FilePath | None = Field(
        default=None,
        description="The authorities of client certificates, a PEM file. Where it is set, a client must present a "
        "certificate that one of them signed (mutual TLS).",
    )


class HttpConfig(Section):
    """The HTTP surfaces: OpenAI-compatible, native, metrics."""

    address: ListenAddress = Field(
        default=Address("127.0.0.1", 8080),
        description="Where to listen. Other machines can reach the gateway only where this is not a loopback address, "
        "which needs `keys`, `access.tokens` or `access.require_key`. Port 0 takes any free port. In YAML an IPv6 "
        "address needs quotes.",
    )
    max_body_bytes: Count = Field(
        default=64 * _MIB, description="The largest request body taken, in bytes; above it, 413."
    )
    body_timeout: Seconds = Field(
        default=30.0, description="Seconds within which a whole request body must have arrived."
    )
    keep_alive: Seconds = Field(
        default=15.0,
        description="Seconds of silence in a stream after which a comment line is sent, so that proxies in between "
        "keep the connection open.",
    )
    mounts: dict[MountPath, Literal["openai", "openrouter", "tokenrouter", "routic", "routing_run"]] = Field(
        default_factory=dict,
        description="Paths below which OpenAI's language is served, and in which router's manner: how errors look, and "
        "what is told beside the answers. `/v1` is `openai` and `/api/v1` is `openrouter` unless they are named here.",
    )
    cors_origins: list[Origin] = Field(
        default_factory=list,
        description="The origins whose web pages may call and read the answers, such as `https://chat.example.com` "
        "(CORS, without cookies). While there are no keys, calls from pages of any other are refused.",
    )
    hosts: list[Text] = Field(
        default_factory=list,
        description="Names under which callers reach a gateway without keys, such as that of a proxy in front. "
        "Numbers, names without a dot and those below `localhost`, `local`, `internal`, `lan`, `test` and `arpa` are "
        "always taken; any other could be that of a web page, made to lead here.",
    )
    tls: TlsConfig | None = Field(default=None, description="Serves HTTPS instead of HTTP.")


class GrpcConfig(Section):
    """The gRPC surface."""

    address: ListenAddress = Field(
        default=Address("127.0.0.1", 50051), description="Where to listen; as `http.address` in everything."
    )
    max_message_bytes: Count = Field(
        default=64 * _MIB, description="The largest message taken or sent, in bytes; above it, RESOURCE_EXHAUSTED."
    )
    keepalive_time: Seconds = Field(
        default=60.0,
        description="Seconds without traffic after which the server pings a client to see whether it is there.",
    )
    keepalive_timeout: Seconds = Field(
        default=20.0, description="Seconds to wait for the answer to such a ping before the connection is closed."
    )
    min_ping_interval: Seconds = Field(
        default=10.0,
        description="Seconds that a client must leave between its own pings; one that sends more is sent away.",
    )
    max_connection_age: Seconds | None = Field(
        default=None,
        description="Seconds after which a client is asked to connect anew, so that load balancers can spread calls, "
        "and no client is left when the gateway stops (`shutdown_delay`); running calls end in peace. Without it a "
        "connection lives as long as the client wants.",
    )
    tls: TlsConfig | None = Field(default=None, description="Serves gRPC over TLS instead of in the clear.")


class ProviderConfig(Section):
    """A service that answers conversations, under the name that requests use."""

    kind: Text = Field(description="What the provider is, such as `openai`, `openai-compatible` or `ollama`.")
    base_url: Url | None = Field(
        default=None,
        description="The URL that the API's paths are below, such as `https://api.openai.com/v1`. Most kinds know "
        "their own.",
    )
    api_key: Token | None = Field(default=None, description="The key to present to the provider.")
    api_keys: dict[KeyLabel, Token] = Field(
        default_factory=dict,
        description="Several keys in place of one, each under a label for reports. They share the calls, and one that "
        "the provider refuses or limits is left alone for a while.",
    )
    max_concurrency: Count | None = Field(
        default=None, description="The most calls that run at the provider at once; others wait for one to end."
    )
    max_queue: Queue = Field(
        default=100,
        description="The most calls that wait so. One more, or one that could not begin before its deadline, is sent "
        "to another target, or refused.",
    )
    timeout: Seconds = Field(
        default=600.0,
        description="The longest silence taken from the provider, in seconds: before its first byte and between any "
        "two. Not a bound on the whole answer; callers set that by their deadline.",
    )
    connect_timeout: Seconds = Field(default=10.0, description="Seconds within which a connection must be made.")
    headers: Headers = Field(
        default_factory=dict, description="Headers to add to each request. Their values are treated as secrets."
    )
    models: list[Text] = Field(
        default_factory=list,
        description="The provider's models to list where it cannot be asked for them. A model that is not listed can "
        "be called all the same.",
    )
    list_models: bool | None = Field(
        default=None, description="Whether to ask the provider for its models; by default as its kind allows."
    )
    options: dict[Text, Text] = Field(
        default_factory=dict,
        description="What the kind alone knows, by name. `vertex`: `project`, `location` and `credentials`, the file "
        "of a service account; without it the machine's own credentials serve (Application Default Credentials). "
        "`bedrock`: `region`, and `profile`, one of AWS's own configuration files. `azure`: `api_version`, a date such "
        "as `2024-10-21`, for the API that has a deployment in each path, and `scope`, what a token of Entra ID is "
        "for; without an `api_key` that makes the tokens, which needs `trunkline[azure]`.",
    )


class LimitsConfig(Section):
    """The most that one request may hold."""

    messages: Count = Field(default=8192, description="Messages in a request.")
    tools: Count = Field(default=512, description="Tools in a request.")


class MediaConfig(Section):
    """Images, sounds and documents that a caller gives by their address, to a provider that fetches none itself."""

    fetch: bool = Field(
        default=True,
        description="Whether the gateway fetches them and sends what it found. Where it does not, the provider gets "
        "the address, and mostly refuses it.",
    )
    max_bytes: Count = Field(default=20 * _MIB, description="The largest one that is fetched, in bytes.")
    max_request_bytes: Count = Field(
        default=64 * _MIB, description="The most bytes that are fetched for one request, all together."
    )
    max_files: Count = Field(default=100, description="The most that are fetched for one request.")
    timeout: Seconds = Field(default=20.0, description="Seconds within which one must have arrived whole.")
    at_once: Count = Field(default=64, description="How many are fetched at the same time, for all callers.")
    hosts: list[Text] = Field(
        default_factory=list, description="The only hosts to fetch from, by name. Without any, every public one."
    )
    private_networks: list[Network] = Field(
        default_factory=list,
        description="The networks to fetch from though they are not public, such as `10.1.0.0/16`. All others that "
        "are not public are refused, whatever name leads there: callers could reach into this machine's own network.",
    )


class StoreConfig(Section):
    """Where the gateway keeps what it keeps."""

    url: SecretText | None = Field(
        default=None,
        description="The database: `sqlite:///PATH`, `postgresql://USER:PASSWORD@HOST:PORT/NAME`, which needs "
        "`trunkline[postgres]`, or `:memory:` to keep nothing beyond the process. By default the "
        "file `trunkline.db` in the folder that the variable `TRUNKLINE_DATA` names, or else in the state folder of "
        "whoever runs the gateway, `~/.local/state/trunkline`.",
    )
    encryption_key: EncryptionKey | None = Field(
        default=None,
        description="A secret by which what callers and models said is encrypted: 32 bytes in base64, such as "
        "`openssl rand -base64 32` makes. Without it, whoever can read the database can read that.",
    )


class ResponsesConfig(Section):
    """The responses and conversations that callers of OpenAI's Responses have stored here."""

    time_to_live: Lifetime = Field(
        default=2_592_000.0,
        description="Seconds for which a response or a conversation is kept after it was last used; 30 days.",
    )
    max_stored_bytes: Size = Field(
        default=4 * 1024 * _MIB,
        description="The most bytes of all of them together. Above it, the caller who keeps the most loses what was "
        "used the longest ago.",
    )


class LogConfig(Section):
    """The log, on standard error."""

    format: Literal["auto", "human", "json"] = Field(
        default="auto",
        description="`human` lines or one `json` object a line; `auto` is `human` on a terminal, else `json`.",
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least weight that is logged."
    )


class MetricsConfig(Section):
    """Prometheus metrics."""

    address: ListenAddress | None = Field(
        default=None,
        description="An address of its own for `/metrics`, where no key is asked for. Without it they are served at "
        "`http.address`, and take an admin's key there unless that is a loopback address.",
    )


class TracingConfig(Section):
    """OpenTelemetry traces, without prompts or answers."""

    endpoint: Url | None = Field(
        default=None,
        description="The collector's OTLP/HTTP URL, such as `http://127.0.0.1:4318/v1/traces`. Without it there are "
        "no traces.",
    )
    headers: Headers = Field(
        default_factory=dict, description="Headers to send to the collector. Their values are treated as secrets."
    )
    sample_ratio: Ratio = Field(
        default=1.0, description="The share of calls to trace, where the caller's own trace does not decide it."
    )
    service_name: Text = Field(default="trunkline", description="The name of this service in the traces.")


class Config(Section):
    """Everything that can be configured."""

    http: HttpConfig = Field(default=HttpConfig(), description="The HTTP surfaces: OpenAI-compatible, native, metrics.")
    grpc: GrpcConfig = Field(default=GrpcConfig(), description="The gRPC surface.")
    providers: dict[ProviderName, ProviderConfig] = Field(
        default_factory=dict,
        description="The providers, by name. Requests may name a model as `provider/model` or `provider:model`, so a "
        "name holds neither `/` nor `:`.",
    )
    models: dict[Text, ModelConfig] = Field(
        default_factory=dict, description="Public names of models, and what answers to them."
    )
    catalog: dict[Text, CatalogModelConfig] = Field(
        default_factory=dict,
        description="What is known of models beyond what the gateway knows, or against it. A name is that of a model "
        "at its provider, alone or as `provider/model`; `*` in it stands for anything. Where several names fit, one "
        "without `*` counts more, then one with the provider, then a longer one.",
    )
    keys: list[KeyConfig] = Field(
        default_factory=list,
        description="Keys that callers may present, beside those that admins make: the gateway is open to everyone "
        "only where there are none at all (see `access.require_key`).",
    )
    access: AccessConfig = Field(default=AccessConfig(), description="Who may call.")
    plans: dict[Text, PlanConfig] = Field(
        default_factory=dict, description="What callers may do, in sets by name that keys, users and tokens are put on."
    )
    routing: RoutingConfig = Field(default=RoutingConfig(), description="How calls find their targets.")
    plugins: PluginsConfig = Field(
        default=PluginsConfig(), description="What the gateway itself does to requests and to answers."
    )
    limits: LimitsConfig = Field(default=LimitsConfig(), description="The most that one request may hold.")
    media: MediaConfig = Field(
        default=MediaConfig(),
        description="Images, sounds and documents that a caller gives by their address, to a provider that fetches "
        "none itself.",
    )
    store: StoreConfig = Field(default=StoreConfig(), description="Where the gateway keeps what it keeps.")
    ledger: LedgerConfig = Field(
        default=LedgerConfig(), description="The ledger, in which each call is recorded with what it used and cost."
    )
    counters: CountersConfig = Field(default=CountersConfig(), description="Where limits are counted.")
    responses: ResponsesConfig = Field(
        default=ResponsesConfig(),
        description="The responses and conversations that callers of OpenAI's Responses have stored here.",
    )
    log: LogConfig = Field(default=LogConfig(), description="The log, on standard error.")
    metrics: MetricsConfig = Field(default=MetricsConfig(), description="Prometheus metrics.")
    tracing: TracingConfig = Field(
        default=TracingConfig(), description="OpenTelemetry traces, without prompts or answers."
    )
    discover: bool = Field(
        default=False,
        description="Whether to add the providers whose keys are in the environment, and those that answer on the "
        "usual ports of this machine. Without a configuration file the default is true.",
    )
    workers: Count = Field(
        default=1,
        description="How many processes serve the same addresses. More than one need counters that they share: "
        "`counters.url`, or `trunkline[local-valkey]`, which brings a Valkey of their own.",
    )
    shutdown_delay: Grace = Field(
        default=0.0,
        description="Seconds for which the gateway goes on taking calls after it was told to stop. Meanwhile `/readyz` "
        "and the health service of gRPC say that it leaves, so that load balancers learn it, and clients move: those "
        "of HTTP at once, those of gRPC where `grpc.max_connection_age` is shorter.",
    )
    shutdown_grace: Grace = Field(
        default=30.0,
        description="Seconds that running calls have to end when the gateway is told to stop, after `shutdown_delay`.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [
            InitErrorDetails(
                type=PydanticCustomError("inconsistent", "{text}", {"text": problem.text()}),
                loc=problem.path,
                input=None,
            )
            for problem in cross_check(self)
        ]
        if problems:
            raise ValidationError.from_exception_data("Config", problems)
        return self
