"""Objects that clients send directly to S3, and their verification.

The signed URL accepts one object once: the signature covers ``If-None-Match: *`` and the length.
The hub reads the object through a verifier, and the server copies it under its final key. Then an
empty object replaces it, which blocks the URL until it expires: no client can store other bytes
between the verification and the copy. This needs a server that honours ``If-None-Match`` and
gives a copy the ETag of its source; `_try_out` tests that once. Ceph 16 honours neither
``x-amz-copy-source-if-match`` nor a CRC-64; this needs neither.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import obstore
from botocore.exceptions import ClientError

from hubstead.admission import Lane, run_in_lane
from hubstead.blobs.interface import DirectUploadTarget
from hubstead.blobs.keys import StoredKey, check_upload
from hubstead.blobs.layout import INCOMING, blob_path
from hubstead.blobs.s3_client import S3Client, answer_code, s3_errors
from hubstead.blobs.store_base import CHUNK_BYTES
from hubstead.blobs.verifiers import Verifier
from hubstead.errors import BlobNotFound, HubError

_TRIAL = b"123456789"
_TRIAL_CRC = 0xAE8B14860A799888  # CRC-64/NVME of it
#: The status codes by which a server rejects a request without having failed.
_REFUSED = (400, 409, 412, 501)


class S3DirectTransfers:
    """`DirectTransfers` of the blobs below ``prefix``, which is empty or ends with a slash."""

    def __init__(self, client: S3Client, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._folder = f"{prefix}{INCOMING}/direct-"
        self._works: bool | None = None
        self._takes_crc = False

    async def url(
        self,
        key: StoredKey,
        *,
        expires_s: int,
        content_disposition: str | None = None,
        media_type: str | None = None,
        span: tuple[int, int] | None = None,
    ) -> str:
        """See `DirectTransfers.url`."""
        params = {"Bucket": self._client.bucket, "Key": self._prefix + blob_path(key)}
        if content_disposition is not None:
            params["ResponseContentDisposition"] = content_disposition
        if media_type is not None:
            params["ResponseContentType"] = media_type
        if span is not None:
            params["Range"] = f"bytes={span[0]}-{span[1]}"  # the signature covers this header
        return await run_in_lane(Lane.TRANSFERS, self._sign, "get_object", params, expires_s)

    async def begin_upload(
        self, size: int, *, crc64nvme: int | None = None, expires_s: int
    ) -> DirectUploadTarget | None:
        """See `DirectTransfers.begin_upload`."""
        return await run_in_lane(Lane.TRANSFERS, self._begin, size, crc64nvme, expires_s)

    async def adopt(self, upload_id: str, key: StoredKey, verify: Verifier) -> int:
        """See `DirectTransfers.adopt`."""
        target = self._prefix + blob_path(key)
        return await run_in_lane(
            Lane.TRANSFERS, self._adopt, check_upload(upload_id), target, verify
        )

    def _sign(self, method: str, params: dict[str, Any], expires_s: int) -> str:
        with s3_errors():
            signed = self._client.signer.generate_presigned_url(
                method, Params=params, ExpiresIn=expires_s
            )
        return str(signed)

    def _begin(self, size: int, crc64nvme: int | None, expires_s: int) -> DirectUploadTarget | None:
        if self._works is None:
            self._works = self._try_out()
        if not self._works:
            return None
        upload_id = secrets.token_hex(16)
        params: dict[str, Any] = {**self._at(upload_id), "ContentLength": size, "IfNoneMatch": "*"}
        headers = {"If-None-Match": "*"}
        if crc64nvme is not None and self._takes_crc:
            params["ChecksumCRC64NVME"] = headers["x-amz-checksum-crc64nvme"] = _base64(crc64nvme)
        url = self._sign("put_object", params, expires_s)
        return DirectUploadTarget(upload_id, "PUT", url, headers)

    def _adopt(self, upload_id: str, target: str, verify: Verifier) -> int:
        source = self._at(upload_id)
        with s3_errors(upload_id):
            response = obstore.get(self._client.reader, source["Key"])
            size, etag = response.meta["size"], (response.meta["e_tag"] or "").strip('"')
        if not size:
            raise BlobNotFound(name=upload_id)  # adopted or rejected before
        try:
            for chunk in _chunks(response, upload_id):
                verify.update(chunk)
            verify.finish()
        except HubError:
            self._block(source)
            raise
        self._copy(source, {**source, "Key": target}, etag, upload_id)
        self._block(source)
        return size

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._client.bucket, "Key": f"{self._folder}{name}"}

    def _copy(
        self, source: dict[str, str], target: dict[str, str], etag: str, upload_id: str
    ) -> None:
        s3 = self._client.writer
        with s3_errors(upload_id):
            s3.copy_object(**target, CopySource=source)
            copied = s3.head_object(**target)["ETag"].strip('"')
            if copied != etag:
                s3.delete_object(**target)
                raise BlobNotFound(name=upload_id)  # a concurrent call adopted it

    def _block(self, source: dict[str, str]) -> None:
        with s3_errors():
            self._client.writer.put_object(**source, Body=b"")

    def _try_out(self) -> bool:
        s3 = self._client.writer
        first, second = (self._at(f"trial-{secrets.token_hex(8)}") for _ in range(2))
        wrong = _base64(_TRIAL_CRC ^ 1)
        with s3_errors():
            try:
                s3.put_object(**first, Body=_TRIAL)
                self._takes_crc = _is_refused(
                    s3.put_object, **second, Body=_TRIAL, ChecksumCRC64NVME=wrong
                ) and not _is_refused(
                    s3.put_object, **second, Body=_TRIAL, ChecksumCRC64NVME=_base64(_TRIAL_CRC)
                )
                if not _is_refused(s3.put_object, **first, Body=b"other", IfNoneMatch="*"):
                    return False
                s3.copy_object(**second, CopySource=first)
                return bool(s3.head_object(**first)["ETag"] == s3.head_object(**second)["ETag"])
            finally:
                for place in (first, second):
                    with suppress(ClientError):
                        s3.delete_object(**place)


def _chunks(response: obstore.GetResult, name: str) -> Iterator[memoryview]:
    with s3_errors(name):
        chunks = iter(response.stream(CHUNK_BYTES))
    while True:
        with s3_errors(name):
            chunk = next(chunks, None)
        if chunk is None:
            return
        yield memoryview(chunk)


def _is_refused(call: Any, **params: Any) -> bool:
    try:
        call(**params)
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status in _REFUSED or answer_code(error) == "PreconditionFailed":
            return True
        raise
    return False


def _base64(checksum: int) -> str:
    return base64.b64encode(checksum.to_bytes(8, "big")).decode()
