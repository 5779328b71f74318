"""The errors zeroskip raises on purpose.  The command line turns each into one message and exit status 2."""


class ZeroskipError(Exception):
    """Base of all errors a user can cause or meet; the message says what was found and the way out."""


class ConfigError(ZeroskipError):
    """A build configuration that does not exist, or two that should be the same and are not."""


class InputError(ZeroskipError, ValueError):
    """Data of a wrong shape, type or range."""


class ModelError(ZeroskipError):
    """A network that cannot be read, imported or compiled."""


class FileFormatError(ZeroskipError):
    """A file that is truncated, corrupted, or of a version this release does not read."""


class ToolError(ZeroskipError):
    """A program the simulator needs is missing or failed."""


class DeviceError(ZeroskipError):
    """Hardware (real or simulated) that is not there, refuses, reports an error, or does not answer."""


class DeviceTimeout(DeviceError):
    """A bounded wait expired; the message holds the state of DMA and engine."""
