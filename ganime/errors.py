"""Everything ganime raises on purpose.

GanimeError
├── ConfigError              the caller's settings are wrong
├── StoreError               the workspace cannot be read or written (full disk, no permission)
│   └── ManifestError        a manifest is missing, malformed, or not the one expected
├── SourceError
│   ├── SourceUnavailable    may heal (timeout, 429, 5xx): the only one that tasks retry
│   │   └── CannotConnect    no host there (refused, no such name): tried for seconds, not minutes
│   └── SourceRefused        will not (credentials, unknown folder, other 4xx)
├── ImageError               this one image cannot be used; the stage records its `reason`
├── WeightsError             network weights are missing or do not fit
└── TrainingDiverged         a loss or gradient is no longer finite
"""


class GanimeError(Exception):
    """Base of all errors a caller may want to catch; its message is fit to be shown to a user."""


class ConfigError(GanimeError):
    """A setting is wrong; the message names the field, what was found and what is wanted."""


class StoreError(GanimeError):
    """The workspace cannot be read or written; the message names the file."""


class ManifestError(StoreError):
    """A manifest is missing, malformed, or not the one expected."""


class SourceError(GanimeError):
    """A site or folder did not deliver."""


class SourceUnavailable(SourceError):
    """It may heal by itself (timeout, 429, 5xx): worth a retry."""


class CannotConnect(SourceUnavailable):
    """The host itself cannot be reached, whatever is asked of it."""


class SourceRefused(SourceError):
    """It will not heal by itself (credentials, unknown folder, other 4xx): not retried."""


class ImageError(GanimeError):
    """One image cannot be used.

    Attributes:
        reason: Short code for manifests, for example `truncated` or `not_an_image`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class WeightsError(GanimeError):
    """Network weights are missing or do not fit; the message says how to give them."""


class TrainingDiverged(GanimeError):
    """A loss or gradient is no longer finite."""
