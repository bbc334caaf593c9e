"""The services of the contract that the gateway serves, over gRPC and over HTTP alike."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor import ServiceDescriptor

from trunkline.v1 import chat_pb2, embeddings_pb2, keys_pb2, models_pb2, routes_pb2, rules_pb2, usage_pb2

ADMIN: Final[tuple[ServiceDescriptor, ...]] = (
    keys_pb2.DESCRIPTOR.services_by_name["KeyService"],
    rules_pb2.DESCRIPTOR.services_by_name["RuleService"],
)
"""What only admins may ask; it can have an address of its own."""

USAGE: Final[ServiceDescriptor] = usage_pb2.DESCRIPTOR.services_by_name["UsageService"]
"""What was used: told to callers, each about himself."""

SERVICES: Final[tuple[ServiceDescriptor, ...]] = (
    chat_pb2.DESCRIPTOR.services_by_name["ChatService"],
    embeddings_pb2.DESCRIPTOR.services_by_name["EmbeddingService"],
    models_pb2.DESCRIPTOR.services_by_name["ModelService"],
    routes_pb2.DESCRIPTOR.services_by_name["RouteService"],
    USAGE,
    *ADMIN,
)
"""Every service."""
