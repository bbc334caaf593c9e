"""Flags, environment and file together: precedence, references, and every problem at once with its place."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from trunkline.config.address import Address
from trunkline.config.load import load
from trunkline.config.model import Config, ProviderConfig
from trunkline.config.problem import ConfigError
from trunkline.config.settings import SETTINGS

from .conftest import KINDS, Load, Problems

ISSUER = "{name: corp, issuer: https://corp, secret: {}}".replace("{}", "s" * 32)


def test_without_anything(loaded: Load) -> None:
    """Defaults alone are a configuration, and providers are then looked for."""
    config = loaded(None)
    assert config == Config(discover=True)
    assert config.http.address == Address("127.0.0.1", 8080)
    assert config.grpc.address == Address("127.0.0.1", 50051)
    assert config.limits.messages == 8192


def test_a_whole_file(loaded: Load, tmp_path: Path) -> None:
    """Every section is read into its model."""
    pem = tmp_path / "cert.pem"
    pem.touch()
    config = loaded(
        f"""
        http:
          address: "[::]:8443"
          max_body_bytes: 1_000_000
          tls: {{certificate: {pem}, private_key: {pem}, client_ca: {pem}}}
        grpc:
          max_connection_age: 3600
        providers:
          main:
            kind: openai
            base_url: https://api.example.com/v1/
            api_key: sk-1
            timeout: 90.5
            headers: {{x-team: blue}}
            models: [a, b]
            list_models: no
        models:
          gpt-4.1:
            targets: [main/gpt-4.1, sim/echo]
        keys:
          - {{name: alice, key: k1}}
        metrics:
          address: 127.0.0.1:9090
        tracing:
          endpoint: http://127.0.0.1:4318/v1/traces
          headers:
        log:
        """
    )
    assert config.http.tls is not None
    assert config.http.tls.client_ca == pem
    assert config.http.max_body_bytes == 1_000_000
    assert config.grpc.max_connection_age == 3600
    main = config.providers["main"]
    assert (main.base_url, main.timeout, main.list_models) == ("https://api.example.com/v1", 90.5, False)
    assert main.api_key is not None
    assert main.api_key.get_secret_value() == "sk-1"
    assert config.models["gpt-4.1"].targets == ["main/gpt-4.1", "sim/echo"]
    assert config.metrics.address == Address("127.0.0.1", 9090)
    assert config.tracing.headers == {}
    assert config.log.level == "info"
    assert config.discover is False


def test_precedence(loaded: Load) -> None:
    """A flag goes before the environment, that before the file, that before the default; an empty variable is unset."""
    text = "log: {level: debug}\nshutdown_grace: 5\nlimits: {tools: 7}\ngrpc:\n"
    environ = {
        "TRUNKLINE_LOG_LEVEL": "warning",
        "TRUNKLINE_SHUTDOWN_GRACE": "6",
        "TRUNKLINE_LIMITS_TOOLS": "",
        "TRUNKLINE_GRPC_ADDRESS": "127.0.0.1:1",
        "TRUNKLINE_SERVICE_HOST": "10.0.0.1",
    }
    config = loaded(text, environ, {"--log-level": "error"})
    assert config.log.level == "error"
    assert config.shutdown_grace == 6
    assert config.limits.tools == 7
    assert config.limits.messages == 8192
    assert str(config.grpc.address) == "127.0.0.1:1"


@pytest.mark.parametrize(("flags", "environ"), [(True, False), (False, True)])
def test_every_single_setting_can_be_given_from_outside(
    loaded: Load, tmp_path: Path, flags: bool, environ: bool
) -> None:
    """Each flag and each variable reaches the setting that it is named for."""
    pem = tmp_path / "cert.pem"
    pem.touch()
    values = {
        "http.address": "127.0.0.1:81",
        "grpc.address": "127.0.0.1:82",
        "metrics.address": "127.0.0.1:83",
        "access.require_key": "true",
        "access.admin_key": "k" * 32,
        "access.pepper": "p" * 32,
        "access.standard_limits": "true",
        "access.admin_address": "127.0.0.1:84",
        "access.admin_grpc_address": "127.0.0.1:85",
        "media.fetch": "true",
        "store.encryption_key": "c2VjcmV0" * 5 + "c2U=",
        "log.format": "json",
        "log.level": "error",
        "tracing.endpoint": "http://127.0.0.1:4318",
        "tracing.sample_ratio": "0.5",
        "tracing.service_name": "edge",
        "plugins.search.kind": "brave",
        "plugins.search.base_url": "http://127.0.0.1:4319",
        "ledger.enabled": "true",
        "ledger.unpriced": "refuse",
        "counters.when_away": "local",
        "routing.mid_stream": "restart",
        "routing.hedge.share": "0.5",
        "discover": "true",
    }
    given_ = {
        setting: values.get(setting.name, str(pem) if "tls" in setting.name else "17")
        for setting in SETTINGS
        if environ or not setting.secret
    }
    config = loaded(
        "http: {}\n",
        {setting.variable: value for setting, value in given_.items()} if environ else {},
        {setting.flag: value for setting, value in given_.items()} if flags else {},
    )
    for setting, value in given_.items():
        found: object = config
        for step in setting.path:
            found = getattr(found, step)
        if isinstance(found, SecretStr):
            found = found.get_secret_value()
        assert str(found).lower().removesuffix(".0") == value.lower(), setting.name


def test_a_secret_has_no_flag(loaded: Load) -> None:
    """What every user of the machine could read in the list of processes is refused, and not repeated."""
    for setting in SETTINGS:
        if setting.secret:
            with pytest.raises(ConfigError, match=f"{setting.flag}: is not a flag") as caught:
                loaded(None, {}, {setting.flag: "s3cret"})
            assert "s3cret" not in str(caught.value)


def test_the_discover_setting(loaded: Load) -> None:
    """Providers are looked for without a file, or where the file says so; a flag or variable has the last word."""
    assert loaded(None).discover is True
    assert loaded("log: {}").discover is False
    assert loaded("discover: true").discover is True
    assert loaded(None, {"TRUNKLINE_DISCOVER": "false"}).discover is False
    assert loaded("discover: true", {}, {"--discover": "no"}).discover is False


def test_references(loaded: Load) -> None:
    """Text anywhere in the file may come from the environment, numbers included."""
    config = loaded(
        """
        shutdown_grace: ${GRACE:-12}
        keys: [{name: "${WHO}", key: "pre-${KEY}"}]
        providers: {p: {kind: sim, headers: {authorization: "Bearer ${KEY}"}, api_key: "a$$b"}}
        """,
        {"WHO": "bob", "KEY": "s3cret"},
    )
    assert config.shutdown_grace == 12
    assert config.keys[0].name == "bob"
    assert config.keys[0].key.get_secret_value() == "pre-s3cret"
    provider = config.providers["p"]
    assert provider.headers["authorization"].get_secret_value() == "Bearer s3cret"
    assert provider.api_key is not None
    assert provider.api_key.get_secret_value() == "a$b"


def test_missing_references(problems: Problems) -> None:
    """A missing variable is one problem at its line, whatever else the value would have to hold to."""
    found = problems("\nshutdown_grace: ${A}\nkeys:\n- name: a\n  key: ${B}\n- name: b\n  key: ${B}\n")
    assert [line.partition(", which")[0] for line in found] == [
        "trunkline.yaml:2: `shutdown_grace`: refers to the environment variable `A`",
        "trunkline.yaml:5: `keys[0].key`: refers to the environment variable `B`",
        "trunkline.yaml:7: `keys[1].key`: refers to the environment variable `B`",
    ]


def test_everything_at_once(problems: Problems) -> None:
    """All problems are told together, in the order of the file: of fields, across fields, and from outside."""
    found = problems(
        """
        http:
          adress: 127.0.0.1:80
        providers:
          openai:
            kind: opnai
            timeout: -3
          a/b: {kind: sim}
        models:
          fast: {targets: [opena/gpt-4o, sim, sim/echo]}
          none: {targets: []}
          bare:
        keys:
          - {name: a, key: same}
          - {name: a, key: same}
          - sk-secret
        """,
        {"TRUNKLINE_LOG_LEVEL": "warn"},
        {"--grpc-address": "nowhere"},
    )
    name_rule = "a provider's name must not be empty or hold `/`, `:`, `#`, spaces or non-ASCII"
    target_rule = "must be `provider/model` with a provider that is configured"
    assert found == [
        "trunkline.yaml:3: `http.adress`: is not a setting; did you mean `address`?",
        'trunkline.yaml:6: `providers.openai.kind`: must be a kind of provider, not "opnai"; did you mean `openai`?',
        "trunkline.yaml:7: `providers.openai.timeout`: must be above 0, not -3",
        f'trunkline.yaml:8: `providers["a/b"]`: {name_rule}',
        f'trunkline.yaml:10: `models.fast.targets[0]`: {target_rule}, not "opena/gpt-4o"; did you mean `openai`?',
        'trunkline.yaml:10: `models.fast.targets[1]`: must be `provider/model`, not "sim"',
        "trunkline.yaml:11: `models.none.targets`: must not be empty",
        "trunkline.yaml:12: `models.bare`: must be a mapping of settings",
        "trunkline.yaml:15: `keys[1].name`: must differ from `keys[0].name`",
        "trunkline.yaml:15: `keys[1].key`: must differ from `keys[0].key`",
        "trunkline.yaml:16: `keys[2]`: must be a mapping of settings",
        '--grpc-address: `grpc.address`: must be `host:port`, such as 127.0.0.1:8080 or [::1]:8080, not "nowhere"',
        'TRUNKLINE_LOG_LEVEL: `log.level`: must be one of `debug`, `info`, `warning` or `error`, not "warn"',
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("shutdown_grace: fast", '`shutdown_grace`: must be a number, not "fast"'),
        ("shutdown_grace: yes", "`shutdown_grace`: must be a number, not true"),
        ("shutdown_grace: .inf", "`shutdown_grace`: must be a finite number, not Infinity"),
        ("shutdown_grace: -1", "`shutdown_grace`: must be at least 0, not -1"),
        ("shutdown_grace: 1.0e+300", "`shutdown_grace`: must be at most 1000000, not 1e+300"),
        ("shutdown_grace: [1]", "`shutdown_grace`: must be a number, not a list"),
        (f"shutdown_grace: 0x{'f' * 5000}", "`shutdown_grace`: must be a number, not a number that long"),
        ("limits: {tools: 1.5}", "`limits.tools`: must be a whole number, not 1.5"),
        ("limits: {tools: many}", '`limits.tools`: must be a whole number, not "many"'),
        ("limits: {tools: {}}", "`limits.tools`: must be a whole number, not a mapping"),
        ("limits: {tools: 0}", "`limits.tools`: must be at least 1, not 0"),
        ("discover: perhaps", '`discover`: must be true or false, not "perhaps"'),
        ("discover: []", "`discover`: must be true or false, not a list"),
        ("tracing: {sample_ratio: 2}", "`tracing.sample_ratio`: must be at most 1, not 2"),
        ("log: {format: 3}", "`log.format`: must be one of `auto`, `human` or `json`, not 3"),
        ("log: json", "`log`: must be a mapping of settings"),
        ("providers: []", "`providers`: must be a mapping"),
        ("keys: {}", "`keys`: must be a list"),
        ("keys: [{name: a}]", "`keys[0].key`: is required"),
        ("keys: [{name: '', key: k}]", "`keys[0].name`: must not be empty"),
        ("keys: [{name: a, key: 12345}]", "`keys[0].key`: must be text; put it in quotes if it is"),
        ("keys: [{name: a, key: ''}]", "`keys[0].key`: must be visible ASCII characters without spaces, and not empty"),
        ("models: {'': {targets: [sim/a]}}", '`models[""]`: must not be empty'),
        ("models: {a: {targets: [1]}}", "`models.a.targets[0]`: must be text; put it in quotes if it is"),
        ("models: {a: {targets: [/x]}}", '`models.a.targets[0]`: must be `provider/model`, not "/x"'),
        ("models: {a: {targets: [sim/]}}", '`models.a.targets[0]`: must be `provider/model`, not "sim/"'),
        (
            "http: {address: 8080}",
            "`http.address`: must be `host:port`, such as 127.0.0.1:8080 or [::1]:8080, not 8080",
        ),
        ("http: {tls: {}}", "`http.tls.certificate`: is required"),
        (
            "grpc: {tls: {certificate: /nowhere/a.pem, private_key: /}}",
            '`grpc.tls.certificate`: must be the path of a file that exists, not "/nowhere/a.pem"',
        ),
        ("http: {tls: {certificate: 3}}", "`http.tls.certificate`: must be the path of a file, not 3"),
        (
            "providers: {p: {kind: sim, base_url: example.com}}",
            "`providers.p.base_url`: must be an http:// or https:// URL",
        ),
        (
            "providers: {p: {kind: sim, base_url: 'http://h:x'}}",
            "`providers.p.base_url`: must be an http:// or https://",
        ),
        (
            "providers: {p: {kind: sim, base_url: 'https://u:p@h'}}",
            "`providers.p.base_url`: must not hold a user or password: use `api_key` or `headers`",
        ),
        (
            "providers: {p: {kind: sim, base_url: 'https://h?key=x'}}",
            "`providers.p.base_url`: must not have a `?` or `#` part",
        ),
        (
            "providers: {p: {kind: sim, headers: {'a b': c}}}",
            '`providers.p.headers["a b"]`: the name of a header must be letters, digits and dashes',
        ),
        (
            'providers: {p: {kind: sim, headers: {a: "b\\r\\nc"}}}',
            "`providers.p.headers.a`: must be one line of ASCII without spaces at its ends, and not empty",
        ),
        ("providers: {p: {}}", "`providers.p.kind`: is required"),
        ("zzz: 1", "`zzz`: is not a setting; there are `http`, `grpc`, `providers`"),
        (
            "providers: {p: {kind: zzz}}",
            '`providers.p.kind`: must be a kind of provider, not "zzz"; there are `anthropic`, `ollama`, `openai`',
        ),
    ],
)
def test_each_kind_of_problem(problems: Problems, text: str, problem: str) -> None:
    """Every way to get a value wrong is told with its line, its field and what would be right."""
    assert problems(f"# line 1\n{text}\n")[0].startswith(f"trunkline.yaml:2: {problem}")


def test_lines_are_those_of_the_names(problems: Problems) -> None:
    """A missing field is told at the section that lacks it, a value at its own name, an element at its own line."""
    found = problems(
        """
        keys:
          - name: a
            key: k
          -
            name: b
        models:
          fast:
            targets:
              - sim/echo
              -
                nothing
        """
    )
    assert [line.partition(" ")[0] for line in found] == ["trunkline.yaml:6:", "trunkline.yaml:12:"]


@pytest.mark.parametrize("surface", ["http", "grpc"])
def test_a_public_address_needs_keys(loaded: Load, problems: Problems, surface: str) -> None:
    """Without keys the world is not let in, wherever the address is from; with keys it is."""
    text = f"{surface}:\n  address: 0.0.0.0:80\n"
    remedy = "add an entry to `keys`, set `access.require_key`, or listen on 127.0.0.1:80"
    rule = f'`{surface}.address`: must be a loopback address while there are no `keys`, not "0.0.0.0:80": {remedy}'
    assert problems(text) == [f"trunkline.yaml:2: {rule}"]
    assert problems(None, {}, {f"--{surface}-address": "0.0.0.0:80"}) == [f"--{surface}-address: {rule}"]
    assert problems(text + "keys: []\n") == [f"trunkline.yaml:2: {rule}"]
    for keys in ("keys: [{name: a, key: b}]", "access: {require_key: true}", f"access: {{tokens: [{ISSUER}]}}"):
        assert str(getattr(loaded(f"{text}{keys}\n"), surface).address) == "0.0.0.0:80"


@pytest.mark.parametrize(
    ("tokens", "path", "problem"),
    [
        ("{name: a}", "", "must have one of `secret` and `jwks_url`"),
        (f"{{name: a, jwks_url: https://i/k, secret: {'s' * 32}}}", "", "must have one of"),
        ("{name: a, jwks_url: https://i/k}", "", "must have `issuer` and `audience`"),
        (
            f"{ISSUER}, {ISSUER.replace('name: corp', 'name: two')}",
            "[1].issuer",
            "must differ from `access.tokens[0].issuer`",
        ),
        (f"{ISSUER}, {ISSUER.replace('https', 'http')}", "[1].name", "must differ from `access.tokens[0].name`"),
        ("{name: a, secret: short}", "[0].secret", "must be at least 32 characters"),
        ("{name: a, jwks_url: http://i/k, issuer: i, audience: [a]}", "[0].jwks_url", "must be an https:// URL"),
        (ISSUER.replace("}", ", plan: gold}"), "[0].plan", 'must be one of `plans`, not "gold"'),
    ],
)
def test_issuers_of_tokens(problems: Problems, tokens: str, path: str, problem: str) -> None:
    """One way to check their signatures, names and issuers of their own, and a plan that there is."""
    (told,) = problems(f"access: {{tokens: [{tokens}]}}\n")
    assert f"access.tokens{path}" in told
    assert problem in told


def test_a_key_on_a_plan_that_there_is_not(loaded: Load, problems: Problems) -> None:
    """It could do anything, so the configuration is refused."""
    keys = "keys: [{name: a, key: b, plan: gold}]\n"
    assert problems(keys) == ['trunkline.yaml:1: `keys[0].plan`: must be one of `plans`, not "gold"']
    assert loaded(f"{keys}plans: {{gold: {{models: [gpt-*], limits: {{daily_usd: 1.5}}}}}}").keys[0].plan == "gold"


def test_targets_may_name_what_discovery_could_find(loaded: Load, problems: Problems) -> None:
    """With `discover: true` a target may name a provider that is not in the file, but not just any."""
    text = "models: {fast: {targets: [anthropic/claude, ollama/llama]}}\n"
    assert len(problems(text)) == 2
    assert loaded(f"discover: true\n{text}").models["fast"].targets == ["anthropic/claude", "ollama/llama"]
    assert len(problems("discover: true\nmodels: {fast: {targets: [nobody/x]}}\n")) == 1


def test_a_value_from_outside_does_not_hide_a_broken_section(problems: Problems) -> None:
    """A variable cannot be put into a section that is no mapping; the section is what is told."""
    assert problems("log: 3\n", {"TRUNKLINE_LOG_LEVEL": "info"}) == [
        "trunkline.yaml:1: `log`: must be a mapping of settings"
    ]


def test_a_value_from_outside_replaces_a_broken_one(loaded: Load) -> None:
    """What a flag replaces need not be right, such as a reference to a variable that is not set here."""
    config = loaded("http: {address: '${NOWHERE}'}", {}, {"--http-address": "127.0.0.1:1"})
    assert str(config.http.address) == "127.0.0.1:1"


def test_half_a_section_from_the_environment(problems: Problems, tmp_path: Path) -> None:
    """What a section from outside lacks is told by the name that began it."""
    found = problems(None, {"TRUNKLINE_HTTP_TLS_CERTIFICATE": __file__})
    assert found == ["TRUNKLINE_HTTP_TLS_CERTIFICATE: `http.tls.private_key`: is required"]


def test_unknown_flags(problems: Problems) -> None:
    """A flag that names no setting is refused."""
    assert problems(None, {}, {"--http-adress": "x"}) == [
        "--http-adress: is not a flag; did you mean `--http-address`?"
    ]


SECRET = "sk-0123456789abcdef"


@pytest.mark.parametrize(
    "text",
    [
        "keys: [{name: a, key: [SECRET]}]",
        "keys: [{name: a, key: 'SECRET with a space'}]",
        "keys: [{name: a, key: SECRET}, {name: b, key: SECRET}]",
        "keys: [SECRET]",
        "keys: SECRET",
        "providers: {p: {kind: sim, apikey: SECRET}}",
        "providers: {p: {kind: sim, api_key: {value: SECRET}}}",
        "providers: {p: {kind: sim, headers: SECRET}}",
        "providers: {p: {kind: sim, headers: {authorization: 'SECRET\t'}}}",
        "providers: {p: {kind: sim, base_url: SECRET}}",
        "providers: {p: {kind: sim, base_url: 'https://user:SECRET@h/'}}",
        "providers: {p: {kind: sim, base_url: 'https://h/?key=SECRET'}}",
        "providers: {p: SECRET}",
        "providers: {p: {kind: '${TOKEN}'}}",
        "shutdown_grace: ${TOKEN}",
        "http: {address: '${TOKEN}'}",
        "http: {tls: {certificate: '${TOKEN}'}}",
        "log: {level: '${TOKEN}'}",
        "models: {fast: {targets: ['${TOKEN}', '${TOKEN}/x']}}",
        "discover: ${TOKEN}",
        "keys:\n- key: 'SECRET\n- name: a",
        "keys:\n- key: SECRET: SECRET\n",
        "keys:\n- key: *SECRET\n",
        "keys:\n- key: !SECRET\n",
        "keys:\n- key: !SECRET!x\n",
        "keys:\n- key: &SECRET a\n- key: &SECRET b\n- *SECRET\n",
        "SECRET",
    ],
)
def test_no_secret_is_told(problems: Problems, text: str) -> None:
    """Whatever is wrong with a secret, or wherever it was put by mistake, no message repeats it."""
    found = problems(text.replace("SECRET", SECRET), {"TOKEN": SECRET})
    assert found
    assert not [line for line in found if SECRET in line]


def test_no_secret_in_the_models(loaded: Load) -> None:
    """A configuration can be printed and dumped."""
    config = loaded(f"keys: [{{name: a, key: {SECRET}}}]\nproviders: {{p: {{kind: sim, headers: {{a: {SECRET}}}}}}}")
    assert SECRET not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"


_NAMES = st.sampled_from([*Config.model_fields, *ProviderConfig.model_fields, "tls", "targets", "name", "key"])
_DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(_NAMES, inner),
)


@given(_DATA)
def test_any_data_is_taken_or_refused(tmp_path_factory: pytest.TempPathFactory, data: object) -> None:
    """Whatever a file holds, it becomes a configuration or a `ConfigError`, never another failure."""
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    with suppress(ConfigError):
        load(path, {}, {}, KINDS)
