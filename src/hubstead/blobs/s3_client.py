"""Connections to an S3 server, and the translation of its errors.

obstore reads and lists, since it streams on the event loop. botocore writes, in threads, since
obstore can neither abort a multipart upload, nor list abandoned ones, nor sign a
Content-Disposition.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from obstore.exceptions import BaseError
from obstore.store import S3Store

from hubstead.blobs.s3_options import S3Options
from hubstead.errors import BlobNotFound, HubError, StorageFull, Unavailable

if TYPE_CHECKING:
    from obstore.store import ClientConfig

_ATTEMPTS = 4
_CONNECT_S = 5.0
# The maximum duration of one request with its body, long enough for a slow client and a large
# download. The read timeout bounds silence.
_WHOLE_REQUEST = timedelta(days=1)
_CREDENTIALS_LIVE = timedelta(minutes=5)
_MISSING = ("NoSuchKey", "404", "NotFound")
# The error texts of servers besides 507: SeaweedFS, MinIO and Ceph, in this order.
_FULL = ("no free volumes", "no writable volumes", "storagefull", "quotaexceeded", "no space left")


class S3Client:
    """A bucket, through two libraries with the same credentials."""

    def __init__(self, bucket: str, options: S3Options) -> None:
        self.bucket = bucket
        self._options = options
        session: Any = botocore.session.Session()  # type: ignore[no-untyped-call]
        self._session = session
        if options.access_key:
            token = options.session_token or None
            session.set_credentials(options.access_key, options.secret_key, token)

    @cached_property
    def reader(self) -> S3Store:
        """The obstore client, for reads, lists and small writes."""
        o = self._options
        endpoint = {"endpoint": self._bucket_endpoint()} if o.endpoint else {}
        client: ClientConfig = {
            "allow_http": o.allow_http,
            "connect_timeout": timedelta(seconds=_CONNECT_S),
            "read_timeout": timedelta(seconds=o.timeout_s),
            "timeout": _WHOLE_REQUEST,
        }
        if o.ca_file:
            client["root_certificate"] = Path(o.ca_file).read_bytes()
        return S3Store(
            self.bucket,
            region=o.region,
            virtual_hosted_style_request=not o.path_style,
            disable_bulk_delete=True,  # some servers lack it, and the store deletes one by one
            credential_provider=self._credentials,
            client_options=client,
            retry_config={
                "max_retries": _ATTEMPTS - 1,
                "retry_timeout": timedelta(seconds=o.timeout_s),
                "backoff": {"max_backoff": timedelta(seconds=2)},
            },
            **endpoint,  # type: ignore[arg-type]
        )

    @cached_property
    def writer(self) -> Any:
        """The botocore client, for writes."""
        return self._botocore(self._options.endpoint)

    @cached_property
    def signer(self) -> Any:
        """The botocore client that signs URLs for clients; it sends nothing."""
        public = self._options.public_endpoint
        return self._botocore(public) if public else self.writer

    def _botocore(self, endpoint: str) -> Any:
        o = self._options
        return self._session.create_client(
            "s3",
            region_name=o.region,
            endpoint_url=endpoint or None,
            verify=o.ca_file or None,
            config=Config(  # type: ignore[no-untyped-call]
                signature_version="s3v4",
                s3={"addressing_style": "path" if o.path_style else "virtual"},
                connect_timeout=_CONNECT_S,
                read_timeout=o.timeout_s,
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                max_pool_connections=32,
                tcp_keepalive=True,
                # By default botocore sends checksums as a trailer, which Ceph 16 rejects; writers
                # send Content-MD5, which every server honours.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def _bucket_endpoint(self) -> str:
        if self._options.path_style:
            return self._options.endpoint
        scheme, _, host = self._options.endpoint.partition("://")
        return f"{scheme}://{self.bucket}.{host}"

    def _credentials(self) -> Any:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise ValueError("no credentials for S3 were found")
        frozen = credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + _CREDENTIALS_LIVE,
        }

    def close(self) -> None:
        """Close the botocore connections."""
        for name in ("writer", "signer"):
            if client := self.__dict__.pop(name, None):
                client.close()


@contextmanager
def s3_errors(name: str = "") -> Iterator[None]:
    """Translate the errors of both libraries; ``name`` is the requested blob.

    Raises:
        BlobNotFound: if the object is missing.
        StorageFull: if the server reports it.
        Unavailable: for all else.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise BlobNotFound(name=name) from error
    except ClientError as error:
        raise _from_response(error, name) from error
    except (BaseError, BotoCoreError, HTTPClientError, ValueError, OSError) as error:
        if _reports_full(str(error)):
            raise StorageFull from error
        # The text may contain URLs and keys: only the log shows it, as the cause.
        raise Unavailable(reason=f"the object store failed ({type(error).__name__})") from error


def answer_code(error: ClientError) -> str:
    """Return the error code of an S3 response: ``NoSuchKey``, ``412``, …"""
    return str(error.response.get("Error", {}).get("Code", ""))


def _from_response(error: ClientError, name: str) -> HubError:
    code = answer_code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _MISSING:
        return BlobNotFound(name=name)
    if status == 507 or _reports_full(str(error)):
        return StorageFull()
    return Unavailable(reason=f"the object store answered {code or status}")


def _reports_full(text: str) -> bool:
    lowered = text.lower()
    return any(words in lowered for words in _FULL) or "507" in lowered.split()
