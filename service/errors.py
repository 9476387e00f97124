"""Everything that can go wrong, as one tree; api/errors.py gives each leaf its HTTP status.

ServiceError
├── ClientError                what the caller can mend; the message is shown
│   ├── Unauthorized           no API key, or a wrong one
│   ├── BadBody                the body cannot be parsed
│   │   └── BadImage           not the picture it claims to be
│   ├── BodyTooLate            an upload that was not complete by the deadline
│   ├── TooLarge               more bytes or pixels than allowed
│   ├── UnsupportedMediaType   a form that cannot be taken
│   ├── NotAcceptable          a form that cannot be given
│   ├── InvalidValue           out of range or of the wrong shape
│   ├── ModelNotFound          no model of that name is loaded
│   └── QueueFull              the backlog is at its limit: later
├── NotReady                   starting, draining or broken: another replica, later
├── DeadlineExceeded           the time allowed ran out before the answer was there
├── InferenceFailed            the device failed on this work
│   └── BadOutput              it gave numbers that are not finite
├── DeviceNotFound             this machine has no such device
├── CannotListen               the address is taken, or not this machine's
├── InvalidKeys                a list of API keys that cannot be used
├── CannotAdopt                a TorchScript file that cannot be made a checkpoint
└── InvalidCheckpoint          a checkpoint file that cannot be served
"""

from pathlib import Path


class ServiceError(Exception):
    """Root of the tree."""


class ClientError(ServiceError):
    """The caller can mend it: `message` is shown, `param` names the field, `code` is stable.

    Args:
        message: One sentence that names the limit and what was sent.
        param: The field of the request that is wrong, None for the whole body.
        code: A short stable name, lower case with hyphens.
    """

    code = "bad-request"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.code


class Unauthorized(ClientError):
    """API keys are set, and none or a wrong one was sent."""

    code = "unauthorized"


class BadBody(ClientError):
    """The body cannot be parsed."""

    code = "bad-body"


class BadImage(BadBody):
    """The bytes are not the picture that they claim to be."""

    code = "bad-image"


class BodyTooLate(ClientError):
    """The body had not arrived by the deadline."""

    code = "body-too-late"


class TooLarge(ClientError):
    """More bytes or pixels than allowed, refused before they are read or decoded."""

    code = "too-large"


class UnsupportedMediaType(ClientError):
    """The body has a form that cannot be taken."""

    code = "unsupported-media-type"


class NotAcceptable(ClientError):
    """The answer cannot be given in the form asked for."""

    code = "not-acceptable"


class InvalidValue(ClientError):
    """A value is out of range or has the wrong shape."""

    code = "invalid-value"


class ModelNotFound(ClientError):
    """No model of that name is loaded."""

    code = "model-not-found"


class QueueFull(ClientError):
    """The backlog is at its limit.

    Args:
        retry_after_seconds: When the present backlog will have been worked off.
    """

    code = "queue-full"

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class NotReady(ServiceError):
    """Starting, draining or broken; never plain overload."""


class DeadlineExceeded(ServiceError):
    """The time allowed ran out before the answer was there."""


class InferenceFailed(ServiceError):
    """The device failed on this work."""


class BadOutput(InferenceFailed):
    """The network gave numbers that are not finite."""


class DeviceNotFound(ServiceError):
    """This machine has no such device."""


class CannotListen(ServiceError):
    """The address is taken, or not this machine's."""


class InvalidKeys(ServiceError):
    """A list of API keys that cannot be used."""


class CannotAdopt(ServiceError):
    """A TorchScript file that cannot be made a checkpoint; the message says why, and what would help."""


class InvalidCheckpoint(ServiceError):
    """A checkpoint file that cannot be served.

    Args:
        field: The part of the file that is wrong, such as `metadata.latent_dim` or `sha256`.
        problem: What is wrong with it, and what was expected.

    Attributes:
        path: The file, where it is one of several.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem
        self.path: Path | None = None
