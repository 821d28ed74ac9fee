"""The engine's members of the `DanluError` family. No formatting, no catching."""

import errno

from data.errors import DanluError


class ConfigError(DanluError):
    """A configuration key or value the user has to change (message names file, key, value seen, cure)."""

    exit_code = 2


class RunError(DanluError):
    """A run directory that is missing, in use, or not what it should be."""

    exit_code = 2


class ModelError(DanluError):
    """A model that cannot be found or loaded (wrong name, wrong folder, refused architecture)."""

    exit_code = 2


class EnvironmentFault(DanluError):
    """The machine's fault, not the input's: no network, no space, missing driver or package."""

    exit_code = 1


class DoesNotFit(DanluError):
    """The plan cannot fit the machine's memory in any offered way."""

    exit_code = 1


class DiskFull(EnvironmentFault):
    """No room on the disk, or in the user's quota, for what is to be saved; waiting may cure it."""

    ERRNOS = (errno.ENOSPC, errno.EDQUOT)
