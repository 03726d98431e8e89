"""Buckets: objects under names, without history; their bytes are Xet files that the bucket links.

Owns the tables of ``buckets/tables.py``. Decides no right (``repos`` does: a bucket is a repository
of its kind), stores no bytes and knows no HTTP.
"""

from hubstead.buckets.batch import AddObject, BatchResult, CopyObject, DeleteObject, apply_batch
from hubstead.buckets.consistency import BucketFault, bucket_faults
from hubstead.buckets.creation import create_bucket
from hubstead.buckets.objects import BucketObject, find_object, find_objects
from hubstead.buckets.queries import BucketPage, BucketQuery, list_buckets, load_bucket
from hubstead.buckets.tree import TreeEntry, TreePage, TreeQuery, list_objects

__all__ = [
    "AddObject",
    "BatchResult",
    "BucketFault",
    "BucketObject",
    "BucketPage",
    "BucketQuery",
    "CopyObject",
    "DeleteObject",
    "TreeEntry",
    "TreePage",
    "TreeQuery",
    "apply_batch",
    "bucket_faults",
    "create_bucket",
    "find_object",
    "find_objects",
    "list_buckets",
    "list_objects",
    "load_bucket",
]
