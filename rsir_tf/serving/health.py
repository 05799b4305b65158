"""The standard gRPC health service, as TensorFlow Serving offers it with --enable_grpc_healthcheck_service."""

from __future__ import annotations

from typing import Any

_SERVICES = ("", "PredictionService", "ModelService")
"""The names that TensorFlow Serving answers to; the empty one is the server itself."""


class Health:
    """Adds the health service to a server; serving from the start until `leave`.

    Args:
        server: grpc.Server that has not started.
    """

    def __init__(self, server: Any) -> None:
        from grpc_health.v1 import health, health_pb2, health_pb2_grpc

        self._servicer = health.HealthServicer()
        for name in _SERVICES:
            self._servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    def leave(self) -> None:
        """Say NOT_SERVING from now on, so that balancers send nothing more."""
        self._servicer.enter_graceful_shutdown()
