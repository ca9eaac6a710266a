"""Where the archive of the log is: in a folder, or in S3-compatible object storage."""

from typing import Any

from agentgate.environment import Environment


def archive_storage(environment: Environment) -> dict[str, Any]:
    """Return the settings of the archive's storage. boto3 finds the credentials of object storage by its own rules."""
    bucket = environment.text("AUDIT_ARCHIVE_BUCKET")
    if not bucket:
        location = environment.path("AUDIT_ARCHIVE_DIR", "var/archive")
        return {"BACKEND": "audit.archiving.storage.DurableFiles", "OPTIONS": {"location": location}}
    options = {
        "bucket_name": bucket,
        "endpoint_url": environment.text("AUDIT_ARCHIVE_ENDPOINT_URL") or None,
        "region_name": environment.text("AUDIT_ARCHIVE_REGION") or None,
        "location": environment.text("AUDIT_ARCHIVE_PREFIX"),
        # A half-written object is replaced. The archiver never writes to one that is verified.
        "file_overwrite": True,
        # What is larger is read through a temporary file instead of memory.
        "max_memory_size": 16 * 1024 * 1024,
    }
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
