"""Every permission there is, `noun.verb`, in one place: a route names one of these or does not start."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """What a person or a program may be allowed to do."""

    APIKEY_MANAGE = "apikey.manage"
    CERTIFICATE_READ = "certificate.read"
    CERTIFICATE_REVOKE = "certificate.revoke"
    CLAIM_CREATE = "claim.create"
    COMMAND_SEND = "command.send"
    DEVICE_CONTAIN = "device.contain"
    DEVICE_READ = "device.read"
    DEVICE_WRITE = "device.write"
    FACT_READ = "fact.read"
    GROUP_WRITE = "group.write"
    LOG_READ = "log.read"
    STATUS_READ = "status.read"
    TELEMETRY_READ = "telemetry.read"
    USER_MANAGE = "user.manage"
