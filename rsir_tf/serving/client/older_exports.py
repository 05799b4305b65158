"""Older exports without a model id in `features`: after each answer, the server is asked which model gave it."""

from __future__ import annotations

from typing import Any

from rsir_tf.serving.client.identity import Ask, Where, ask_describe, ask_identify
from rsir_tf.serving.client.refusals import NeedsInputError, StaleVersionError
from rsir_tf.serving.messages import ModelSpec

MOST_REPLICAS = 4
"""How often a version is asked for: of several servers behind one name, the next may not have it (or not any more)."""


def ask_giver(ask: Ask, spec: Any, response: Any, where: Where) -> str:
    """Ask for the model id of the version that gave an answer.

    Args:
        ask: Asks the server that answered, and fails if the connection breaks: the server may come back with another
            model, whose id would be wrong for the answer.
        spec: ModelSpec of the request.
        response: The answer.
        where: For errors.

    Raises:
        StaleVersionError: The version is gone; the images must be sent again.
        ServerUnavailableError: The connection broke, or there was no answer in time; the images must be sent again.
    """
    version = ModelSpec()
    version.CopyFrom(spec)
    if response.model_spec.HasField("version"):
        version.version.value = response.model_spec.version.value  # replaces a label
    for _ in range(MOST_REPLICAS - 1):
        try:
            return _model_id(ask, version, where)
        except StaleVersionError:  # noqa: PERF203 - another of several servers may be the next to be asked
            continue
    return _model_id(ask, version, where)


def _model_id(ask: Ask, version: Any, where: Where) -> str:
    try:
        return ask_describe(ask, version, where)[0]
    except NeedsInputError:  # a server that batches
        return ask_identify(ask, version, where)[0]
