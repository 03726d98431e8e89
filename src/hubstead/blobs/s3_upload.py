"""Sends one object to S3, small ones at once, large ones in parts, with bounded memory.

Nothing is visible under the key before `ObjectUpload.finish`, and `ObjectUpload.abort` takes
back what was sent. Every request carries the MD5 of its body, so the server stores the bytes
that were hashed here or none.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections import deque
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from hubstead.blobs.keys import MAX_PARTS
from hubstead.blobs.s3_client import S3Client, answer_code, s3_errors
from hubstead.errors import Unavailable

_PART_BYTES = 8 << 20
_PARTS_UNDER_WAY = 2
_EXISTS = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
_TRIES = 5


class ObjectUpload:
    """One object on its way to ``key``.

    Args:
        client: The bucket.
        threads: Where parts are sent from.
        key: The whole key.
        size: How many bytes will come, if known; without it, at most 78 GiB fit.
        replace: Whether an object that is there gives way; otherwise it stays.
    """

    def __init__(
        self, client: S3Client, threads: Executor, key: str, size: int | None, *, replace: bool
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
        """Store what came, unless something is at the key that must stay: then return its size."""
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
        """Take back what was sent. Harmless when nothing was, and when all is finished."""
        self._buffer.clear()
        wait(self._under_way)
        self._under_way.clear()
        if self._upload_id:
            upload_id, self._upload_id = self._upload_id, ""
            # If this fails, `sweep` finds it: the caller has its own error to tell of.
            with suppress(ClientError, BotoCoreError, HTTPClientError):
                self._client.writer.abort_multipart_upload(**self._where, UploadId=upload_id)

    def stored_size(self) -> int | None:
        """Return the size of what is at the key now, if anything is."""
        head = self._head()
        return int(head["ContentLength"]) if head else None

    def stored_etag(self) -> str:
        """Return the ETag of what is at the key now; empty if nothing is."""
        with s3_errors():  # not every server tells it when an upload in parts is completed
            return str((self._head() or {}).get("ETag", "")).strip('"')

    def _head(self) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = self._client.writer.head_object(**self._where)
        except ClientError as error:
            if answer_code(error) in ("404", "NoSuchKey", "NotFound"):
                return None
            raise
        return answer

    def _put(self) -> int | None:
        body = bytes(self._buffer)
        for attempt in range(_TRIES):
            try:
                self._client.writer.put_object(
                    **self._where, **self._only_new, Body=body, ContentMD5=_md5(body)
                )
                return None
            except ClientError as error:
                if not self._only_new or answer_code(error) not in _EXISTS:
                    raise
            if (first := self.stored_size()) is not None:
                return first
            time.sleep(0.05 * 2**attempt)  # 409: somebody else is about to store it, or to fail
        raise Unavailable(reason="the object store keeps reporting a conflict")

    def _send(self, body: bytes) -> None:
        if not self._upload_id:
            with s3_errors():
                answer = self._client.writer.create_multipart_upload(**self._where)
            self._upload_id = answer["UploadId"]
        if len(self._under_way) >= _PARTS_UNDER_WAY:
            self._collect()
        number = len(self._etags) + len(self._under_way) + 1
        self._under_way.append(self._threads.submit(self._send_part, self._upload_id, number, body))

    def _send_part(self, upload_id: str, number: int, body: bytes) -> str:
        answer: dict[str, Any] = self._client.writer.upload_part(
            **self._where, UploadId=upload_id, PartNumber=number, Body=body, ContentMD5=_md5(body)
        )
        return str(answer["ETag"])

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
            # Another was first by now, or the answer to our own request got lost: done either
            # way. A part, which takes the place of an earlier one, must be sent again.
            first = self.stored_size() if self._only_new else None
            if first is None:
                raise
            return first
        self._upload_id = ""
        return None


def _md5(body: bytes) -> str:
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()
