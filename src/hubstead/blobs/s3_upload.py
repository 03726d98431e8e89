"""Uploads one object to S3, a small one at once, a large one in parts, with bounded memory.

The object is invisible before `ObjectUpload.finish`, and `ObjectUpload.abort` discards the parts.
Every request carries the MD5 of its body, so the server stores exactly these bytes or none.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections import deque
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from hubstead.admission import BoundedThreads
from hubstead.blobs.keys import MAX_PARTS
from hubstead.blobs.s3_client import S3Client, answer_code, s3_errors
from hubstead.errors import Unavailable

_PART_BYTES = 8 << 20
_PARTS_UNDER_WAY = 2
_EXISTS = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
_TRIES = 5
_MD5 = re.compile("[0-9a-f]{32}")
_OTHER_BYTES = "the object store acknowledged other bytes than it was sent"


class ObjectUpload:
    """The upload of one object to ``key``.

    Args:
        client: The bucket.
        threads: The threads that send parts.
        key: The whole key.
        size: The size in bytes, if known; without it, at most 78 GiB fit.
        replace: Whether this replaces an existing object; otherwise that one stays.
    """

    def __init__(
        self,
        client: S3Client,
        threads: BoundedThreads,
        key: str,
        size: int | None,
        *,
        replace: bool,
    ) -> None:
        self._client = client
        self._threads = threads
        self._where = {"Bucket": client.bucket, "Key": key}
        self._only_new = {} if replace else {"IfNoneMatch": "*"}
        self._part_bytes = max(_PART_BYTES, -(-(size or 0) // MAX_PARTS))
        self._buffer = bytearray()
        self._upload_id = ""
        self._under_way: deque[Future[str]] = deque()
        self._etags: list[str] = []

    def push(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._buffer += chunk
        while len(self._buffer) > self._part_bytes:
            self._send(bytes(memoryview(self._buffer)[: self._part_bytes]))
            del self._buffer[: self._part_bytes]

    def finish(self) -> int | None:
        """Store the object; return the size of an existing one that must stay, else None."""
        with s3_errors():
            if not self._upload_id:
                return self._put()
        self._send(bytes(self._buffer))
        self._buffer.clear()
        while self._under_way:
            self._collect()
        with s3_errors():
            if self._only_new and (first := self.stored_size()) is not None:
                self.abort()  # Ceph 16 would let Complete overwrite
                return first
            return self._complete()

    def abort(self) -> None:
        """Discard the upload. Harmless before the first byte and after `finish`."""
        self._buffer.clear()
        wait(self._under_way)
        self._under_way.clear()
        if self._upload_id:
            upload_id, self._upload_id = self._upload_id, ""
            # The caller reports its own error; if this fails, `sweep` aborts the upload.
            with suppress(ClientError, BotoCoreError, HTTPClientError):
                self._client.writer.abort_multipart_upload(**self._where, UploadId=upload_id)

    def stored_size(self) -> int | None:
        """Return the size of the object at the key, or None."""
        head = self._head()
        return int(head["ContentLength"]) if head else None

    def stored_etag(self) -> str:
        """Return the ETag of the object at the key; empty if there is none."""
        with s3_errors():  # some servers omit it from the response to CompleteMultipartUpload
            return str((self._head() or {}).get("ETag", "")).strip('"')

    def _head(self) -> dict[str, Any] | None:
        try:
            response: dict[str, Any] = self._client.writer.head_object(**self._where)
        except ClientError as error:
            if answer_code(error) in ("404", "NoSuchKey", "NotFound"):
                return None
            raise
        return response

    def _put(self) -> int | None:
        body = bytes(self._buffer)
        for attempt in range(_TRIES):
            try:
                response = self._client.writer.put_object(
                    **self._where, **self._only_new, Body=body, ContentMD5=_md5(body)
                )
                if _names_other_bytes(response, body):
                    # At its name it would pass for bytes that an earlier upload stored.
                    self._client.writer.delete_object(**self._where)
                    raise Unavailable(reason=_OTHER_BYTES)
                return None
            except ClientError as error:
                if not self._only_new or answer_code(error) not in _EXISTS:
                    raise
            if (first := self.stored_size()) is not None:
                return first
            time.sleep(0.05 * 2**attempt)  # 409: a concurrent request stores it, or fails
        raise Unavailable(reason="the object store keeps reporting a conflict")

    def _send(self, body: bytes) -> None:
        if not self._upload_id:
            with s3_errors():
                response = self._client.writer.create_multipart_upload(**self._where)
            self._upload_id = response["UploadId"]
        if len(self._under_way) >= _PARTS_UNDER_WAY:
            self._collect()
        number = len(self._etags) + len(self._under_way) + 1
        self._under_way.append(self._threads.submit(self._send_part, self._upload_id, number, body))

    def _send_part(self, upload_id: str, number: int, body: bytes) -> str:
        response: dict[str, Any] = self._client.writer.upload_part(
            **self._where, UploadId=upload_id, PartNumber=number, Body=body, ContentMD5=_md5(body)
        )
        if _names_other_bytes(response, body):
            raise Unavailable(reason=_OTHER_BYTES)
        return str(response["ETag"])

    def _collect(self) -> None:
        with s3_errors():
            self._etags.append(self._under_way.popleft().result())

    def _complete(self) -> int | None:
        parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(self._etags, 1)]
        try:
            self._client.writer.complete_multipart_upload(
                **self._where,
                **self._only_new,
                UploadId=self._upload_id,
                MultipartUpload={"Parts": parts},
            )
        except (ClientError, BotoCoreError, HTTPClientError):
            # A concurrent upload was first, or the response to this one got lost: both succeed.
            # A part, which replaces an earlier one, must be sent again.
            first = self.stored_size() if self._only_new else None
            if first is None:
                raise
            return first
        self._upload_id = ""
        return None


def _names_other_bytes(response: dict[str, Any], body: bytes) -> bool:
    """Return whether the store acknowledges other bytes than ``body``, by their MD5 as ETag.

    The ETag is no MD5 where the store encrypts by a key of its management or of the client.
    """
    etag = str(response.get("ETag", "")).strip('"').lower()
    encryption = str(response.get("ServerSideEncryption", "AES256"))
    if encryption != "AES256" or "SSECustomerAlgorithm" in response or not _MD5.fullmatch(etag):
        return False
    return etag != hashlib.md5(body, usedforsecurity=False).hexdigest()


def _md5(body: bytes) -> str:
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()
