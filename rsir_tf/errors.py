"""The package's own errors: what was found, what was wanted, and what to do."""

from __future__ import annotations

from rsir_tf.wording import without_keys


class RsirError(Exception):
    """Base of every error that the package raises on purpose.

    The text is one line: what was found, then what was wanted, then what to do. Keys in URLs are left out of it.

    Args:
        found: What is wrong, beginning with the file, option or server.
        wanted: What would be right; None where `found` already says it.
        cure: What the user can do now, as an instruction.
    """

    def __init__(self, found: str, *, wanted: str | None = None, cure: str | None = None) -> None:
        self.found = without_keys(found)
        self.wanted = wanted
        self.cure = cure
        parts = [self.found]
        if wanted is not None:
            parts.append(f"wanted {wanted}")
        if cure is not None:
            parts.append(cure)
        super().__init__(without_keys(" ".join("; ".join(parts).split())))


class InputError(RsirError):
    """An image, mask, label set, archive or array that cannot be used as it is."""


class ArtifactError(RsirError):
    """A run, export or index on disk that is missing, damaged, too new, or in the way."""


class LockedError(ArtifactError):
    """A folder in which another writer is at work; the same call may succeed later."""


class MismatchError(RsirError):
    """Two things do not agree, for example an index and a model, or an index and the settings of a query."""


class ModelError(RsirError):
    """A served or loaded model that cannot answer: it is missing, has a wrong signature, or refused the request."""


class ServerUnavailableError(ModelError):
    """No server answered in time; the same call may succeed later."""


class ClusterError(RsirError):
    """A cluster that cannot be reached, or whose workers cannot begin."""


class DatabaseError(RsirError):
    """A vector database that cannot be reached, or a collection in it that is not what it should be."""


def why(error: OSError | UnicodeError) -> str:
    """Why a file could not be read, in a few words for another error's text: the system's, in lower case."""
    return (error.strerror or "").lower() if isinstance(error, OSError) else "it is no text in UTF-8"
