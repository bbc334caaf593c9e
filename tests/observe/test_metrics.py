"""The metrics can be parsed, add up, and stay few."""

from __future__ import annotations

import pytest
from observe.samples import answered, failure, refused, started, tried
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from trunkline.call import Call
from trunkline.errors import invalid_request
from trunkline.observe.metrics import Metrics
from trunkline.v1.chat_pb2 import Usage

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def values(metrics: Metrics) -> Values:
    text, _ = metrics.render()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(text.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return values(metrics).get((name, frozenset(labels.items())))


def labels_of(metrics: Metrics, name: str, label: str) -> set[str]:
    return {dict(labels)[label] for sample, labels in values(metrics) if sample == name}


def observe(metrics: Metrics, *calls: Call) -> None:
    for call in calls:
        metrics.call_started(call)
        metrics.call_ended(call)


def test_answered_call():
    """An answered call counts everywhere once."""
    metrics = Metrics()
    observe(metrics, answered())
    target = {"model": "best", "provider": "openai"}
    call = {"operation": "stream_chat", **target}
    assert value(metrics, "trunkline_calls_total", surface="openai", outcome="ok", **call) == 1
    assert value(metrics, "trunkline_call_duration_seconds_sum", **call) == pytest.approx(1)
    assert value(metrics, "trunkline_call_duration_seconds_bucket", le="0.64", **call) == 0
    assert value(metrics, "trunkline_call_duration_seconds_bucket", le="1.28", **call) == 1
    assert value(metrics, "trunkline_call_time_to_first_token_seconds_sum", **target) == pytest.approx(0.5)
    for kind, count in {"input": 12, "output": 34, "cached_input": 5, "reasoning": 7}.items():
        assert value(metrics, "trunkline_tokens_total", kind=kind, **target) == count
    assert value(metrics, "trunkline_attempts_total", provider="openai", outcome="ok") == 1
    assert value(metrics, "trunkline_calls_in_flight", surface="openai") == 0


def test_calls_in_flight():
    """A call is in flight from its start to its end."""
    metrics = Metrics()
    call = answered(surface="grpc")
    metrics.call_started(call)
    assert value(metrics, "trunkline_calls_in_flight", surface="grpc") == 1
    metrics.call_ended(call)
    assert value(metrics, "trunkline_calls_in_flight", surface="grpc") == 0


def test_fallback_counts_each_attempt():
    """Each attempt counts for its provider, the call for the one that answered."""
    metrics = Metrics()
    call = answered()
    tried(call, "groq", "llama", failure("PROVIDER_TIMEOUT", provider="groq"))
    call.attempts.reverse()
    observe(metrics, call)
    assert value(metrics, "trunkline_attempts_total", provider="groq", outcome="provider_timeout") == 1
    assert value(metrics, "trunkline_attempts_total", provider="openai", outcome="ok") == 1
    assert labels_of(metrics, "trunkline_calls_total", "provider") == {"openai"}


def test_unary_call_has_no_first_token():
    """The time to the first token is told of streams alone."""
    metrics = Metrics()
    observe(metrics, answered(operation="chat"))
    name = "trunkline_call_time_to_first_token_seconds_count"
    assert value(metrics, name, model="best", provider="openai") == 0


def test_unresolved_model_is_no_label():
    """A name that nothing serves does not become a label."""
    metrics = Metrics()
    observe(metrics, *(refused(failure("NOT_FOUND", provider=None), model=f"junk-{i}") for i in range(10)))
    observe(metrics, refused(invalid_request("no JSON")))
    assert labels_of(metrics, "trunkline_calls_total", "model") == {"none"}
    assert labels_of(metrics, "trunkline_calls_total", "operation") == {"none"}
    assert labels_of(metrics, "trunkline_calls_total", "provider") == {"none"}


def test_denied_model_takes_no_place():
    """A name that the provider does not know counts as `other`, so that callers cannot use up the labels."""
    metrics = Metrics(model_limit=1)
    for index in range(3):
        call = started(model=f"openai/junk-{index}", operation="chat")
        error = failure("NOT_FOUND")
        tried(call, error=error)
        call.fail(error)
        observe(metrics, call)
    observe(metrics, answered())
    assert labels_of(metrics, "trunkline_calls_total", "model") == {"other", "best"}


def test_model_labels_are_capped():
    """Beyond the limit every model is `other`; those of the configuration never are."""
    metrics = Metrics(model_limit=3, known_models=["own"])
    observe(metrics, *(answered(model=f"sim/{index}") for index in range(50)))
    observe(metrics, answered(model="own"), answered(model="sim/0"))
    assert labels_of(metrics, "trunkline_calls_total", "model") == {"sim/0", "sim/1", "sim/2", "other", "own"}
    metrics.know(["new"])
    observe(metrics, answered(model="new"))
    assert "new" in labels_of(metrics, "trunkline_calls_total", "model")


@pytest.mark.parametrize("model", ["x" * 129, "line\nbreak", "\x1b[2J"])
def test_odd_model_is_other(model: str):
    """A name that no one would give a model is no label."""
    metrics = Metrics()
    observe(metrics, answered(model=model))
    assert labels_of(metrics, "trunkline_calls_total", "model") == {"other"}


def test_negative_counts_are_ignored():
    """A provider that counts below zero does not stop the others from being counted."""
    metrics = Metrics()
    call = answered()
    call.usage = Usage(input_tokens=-5, output_tokens=2)
    observe(metrics, call)
    assert value(metrics, "trunkline_tokens_total", model="best", provider="openai", kind="input") == 0
    assert value(metrics, "trunkline_tokens_total", model="best", provider="openai", kind="output") == 2


def test_process_and_build():
    """The process, the platform, the build and the lost log records are there."""
    metrics = Metrics(dropped=lambda: 3)
    names = {name for name, _ in values(metrics)}
    assert {"process_resident_memory_bytes", "python_info", "trunkline_build_info"} <= names
    assert value(metrics, "trunkline_log_records_dropped_total") == 3


def test_no_created_series():
    """What is scraped is not doubled by the times at which series began."""
    metrics = Metrics()
    observe(metrics, answered())
    assert not [name for name, _ in values(metrics) if name.startswith("trunkline") and name.endswith("_created")]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("text/plain;version=0.0.4", "text/plain"),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.1", "application/openmetrics-text"),
        ("application/openmetrics-text; version=nonsense", "application/openmetrics-text"),
    ],
)
def test_negotiation(accept: str, kind: str):
    """The caller gets OpenMetrics where it says so, and a text that parses either way."""
    metrics = Metrics()
    observe(metrics, answered())
    text, content_type = metrics.render(accept)
    assert content_type.startswith(kind + ";")
    parse = parse_openmetrics if "openmetrics" in kind else parse_text
    families = {family.name: family for family in parse(text.decode())}
    assert families["trunkline_calls"].type == "counter"
    assert text.decode().endswith("# EOF\n") == ("openmetrics" in kind)
