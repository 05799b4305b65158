"""Older exports, whose `features` give no model id: the server is asked after each answer which model gave it."""

from __future__ import annotations

from typing import Any

from rsir_tf.serving.client.identity import Ask, Where, ask_describe, ask_identify
from rsir_tf.serving.client.refusals import NeedsInputError, StaleVersionError
from rsir_tf.serving.messages import ModelSpec

MOST_REPLICAS = 4
"""Times that a version is asked for: of several servers behind one name, the next one may not have it (any more)."""


def ask_giver(ask: Ask, spec: Any, response: Any, where: Where) -> str:
    """Ask for the model id of the version that gave an answer.

    Args:
        ask: Asks the server that answered, and fails where the connection breaks: the server may come back with
            another model, and what it then says would not be true of the answer.
        spec: ModelSpec of the request.
        response: The answer.
        where: For errors.

    Raises:
        StaleVersionError: The version is gone; the images must be sent again.
        ServerUnavailableError: The connection broke, or there was no answer in time; likewise.
    """
    version = ModelSpec()
    version.CopyFrom(spec)
    if response.model_spec.HasField("version"):
        version.version.value = response.model_spec.version.value  # takes a label's place
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
