"""Who may call, what for, and how much."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, FilePath

from trunkline.config.section import Section
from trunkline.config.values import (
    Amount,
    Days,
    Dollars,
    KeyLabel,
    Leeway,
    ListenAddress,
    LongSecret,
    SecureUrl,
    Text,
    Token,
)


class ModelAllowanceConfig(Section):
    """How much may be used of some models. What is not set is not limited."""

    requests_per_minute: Amount | None = Field(default=None, description="Calls in any minute.")
    requests_per_hour: Amount | None = Field(default=None, description="Calls in any hour.")
    requests_per_day: Amount | None = Field(default=None, description="Calls in any 24 hours.")
    tokens_per_minute: Amount | None = Field(default=None, description="Tokens read and written in any minute.")
    concurrent_calls: Amount | None = Field(default=None, description="Calls that run at once.")
    concurrent_streams: Amount | None = Field(default=None, description="Streams that run at once.")
    daily_usd: Dollars | None = Field(default=None, description="US dollars in a day of the calendar (UTC).")
    monthly_usd: Dollars | None = Field(default=None, description="US dollars in a month of the calendar (UTC).")
    total_usd: Dollars | None = Field(default=None, description="US dollars in all.")
    budget_usd: Dollars | None = Field(default=None, description="US dollars in any `budget_days`.")
    budget_days: Days = Field(default=30, description="The days of `budget_usd`.")


class AllowanceConfig(ModelAllowanceConfig):
    """How much may be used. What is not set is not limited."""

    models: dict[Text, ModelAllowanceConfig] = Field(
        default_factory=dict,
        description="What holds for the calls of some models beside the above, by their names; `*` stands for "
        "anything.",
    )


class KeyConfig(Section):
    """A key by which a caller is known."""

    name: Text = Field(description="The caller's name, in records and metrics. Must be unique.")
    key: Token = Field(
        description="The secret that the caller presents, as `Authorization: Bearer ...`. Must be unique."
    )
    plan: Text | None = Field(default=None, description="The plan of `plans` that the caller is on.")


class PlanConfig(Section):
    """What those may do who are on the plan."""

    models: list[Text] = Field(
        default_factory=list,
        description="The models that may be asked for, by the name in the request or as `provider/model`; `*` stands "
        "for anything. Without any, all.",
    )
    providers: list[Text] = Field(default_factory=list, description="The providers that may answer. Without any, all.")
    limits: AllowanceConfig = Field(
        default=AllowanceConfig(),
        description="How much each user may use, all of his keys together, and each key without a user.",
    )


class TokenIssuerConfig(Section):
    """Who issues tokens (JWT) that are taken in place of keys."""

    name: KeyLabel = Field(description="The issuer's name here; users are called `NAME:SUB`. Must be unique.")
    issuer: Text | None = Field(
        default=None, description="What `iss` must be. One issuer may be without, whose tokens then have none."
    )
    audience: list[Text] = Field(
        default_factory=list, description="What `aud` must hold one of. Without any, tokens must have no `aud`."
    )
    secret: LongSecret | None = Field(default=None, description="The secret that signs the tokens, by HS256.")
    jwks_url: SecureUrl | None = Field(
        default=None,
        description="Where the issuer publishes its keys, in place of `secret`. `issuer` and `audience` are needed.",
    )
    jwks_ca: FilePath | None = Field(
        default=None, description="The authorities to trust at `jwks_url`, a PEM file. By default those of the machine."
    )
    algorithms: list[Literal["RS256", "ES256", "EdDSA"]] = Field(
        default=["RS256", "ES256", "EdDSA"], description="How tokens may be signed, beside `jwks_url`."
    )
    leeway: Leeway = Field(default=30.0, description="Seconds by which clocks may differ.")
    plan: Text | None = Field(default=None, description="The plan of tokens that name none in `plan_claim`.")
    plan_claim: Text = Field(default="plan", description="The claim that names a plan of `plans`.")
    scope_claim: Text = Field(
        default="scope", description="The claim that holds scopes: a text with spaces between them, or a list."
    )
    scopes: dict[Text, list[Text]] = Field(
        default_factory=dict,
        description="The models that each scope allows, as in `plans`; a token needs one of the scopes. Without any, "
        "scopes are not looked at.",
    )
    known_users: bool = Field(
        default=False, description="Whether only those may call who are users with the `subject` `NAME:SUB`."
    )


class AccessConfig(Section):
    """Who may call."""

    require_key: bool = Field(
        default=False,
        description="Whether callers must present a key even while there is none. They must in any case from when "
        "there are `keys`, `tokens`, or a key was made that is no admin's. Without any of these everyone who can reach "
        "the gateway may use it, so it then listens on loopback addresses only.",
    )
    admin_key: LongSecret | None = Field(
        default=None,
        description="The key of the admin. Without it, one is made at the first start and shown once.",
    )
    pepper: LongSecret | None = Field(
        default=None,
        description="A secret that the digests of keys are made with, so that the database alone is of no use. Without "
        "it, one is made and kept in the database. It cannot be changed while there are keys.",
    )
    standard_limits: bool = Field(
        default=False,
        description="Whether each key has limits: where none are given, 100 requests and 10,000 tokens a minute and "
        "$100 in 30 days; at the most, 1,000 requests and 100,000 tokens a minute and $1,000 in 90 days.",
    )
    admin_address: ListenAddress | None = Field(
        default=None,
        description="An address of its own for what only admins may do, over HTTP: `KeyService`, `RuleService`, "
        "OpenRouter's `/keys`, and `/metrics` unless `metrics.address` is set. They are then not served at "
        "`http.address` and `grpc.address`. It is served with the TLS of `http`.",
    )
    admin_grpc_address: ListenAddress | None = Field(
        default=None, description="The same over gRPC, with the TLS of `grpc`."
    )
    tokens: list[TokenIssuerConfig] = Field(
        default_factory=list, description="Who issues tokens (JWT) that are taken in place of keys."
    )
