"""Data sets load from the hub, whole and as streams, and are pushed back."""

from __future__ import annotations

from tests.world.machine import Machine, heavy_python

_LOAD = """
import pyarrow as pa, pyarrow.parquet as pq
from datasets import load_dataset
from huggingface_hub import HfApi

def put(name, path, local):
    api = HfApi()
    api.create_repo(name, repo_type="dataset")
    api.upload_file(repo_id=name, repo_type="dataset", path_in_repo=path, path_or_fileobj=local)

rows = {"id": list(range(1000)), "text": [f"row {n} \\u00e4" for n in range(1000)]}
pq.write_table(pa.table(rows), "rows.parquet")
with open("lines.csv", "w") as file:
    file.write("id,text\\n" + "".join(f"{n},line {n}\\n" for n in range(50)))
put("admin/tables", "data/train-00000-of-00001.parquet", "rows.parquet")
put("admin/lines", "test.csv", "lines.csv")

assert load_dataset("admin/tables", split="train").to_dict() == rows
stream = load_dataset("admin/tables", split="train", streaming=True)
assert [row["id"] for row in stream] == rows["id"]
assert load_dataset("admin/lines", split="test")["text"][49] == "line 49"
lines = list(load_dataset("admin/lines", split="test", streaming=True))
assert lines[7] == {"id": 7, "text": "line 7"} and len(lines) == 50
"""

_PUSH = """
import sys
from concurrent.futures import ThreadPoolExecutor
from datasets import Dataset, get_dataset_config_names, load_dataset
from huggingface_hub.errors import HfHubHTTPError

name = sys.argv[1]
one = Dataset.from_dict({"n": list(range(100))})
two = Dataset.from_dict({"word": ["a", "b"]})
one.push_to_hub(name, "numbers", private=True)
two.push_to_hub(name, "words", split="test")
assert sorted(get_dataset_config_names(name)) == ["numbers", "words"]
assert load_dataset(name, "numbers", split="train").to_dict() == one.to_dict()
assert load_dataset(name, "words", split="test").to_dict() == two.to_dict()

def push(split):
    # It means to try again by itself after 409 and 412, but looks for them in the context of the
    # error, where they are not (datasets 5.2 with huggingface_hub 2.4, on any hub): so we do.
    while True:
        try:
            Dataset.from_dict({"split": [split] * 5}).push_to_hub(name, "many", split=split)
            return
        except HfHubHTTPError as error:
            assert error.response.status_code in (409, 412), error
            refused.append(error)

refused = []
with ThreadPoolExecutor(3) as pool:
    list(pool.map(push, ("a", "b", "c")))
assert all("Please refresh and try again" in str(error) for error in refused), refused
many = load_dataset(name, "many")
assert {split: many[split]["split"][0] for split in many} == {"a": "a", "b": "b", "c": "c"}, many
assert load_dataset(name, "numbers", split="train", streaming=True).take(1)
"""


def test_parquet_and_csv_load_whole_and_as_streams(machine: Machine) -> None:
    machine.run(heavy_python(), "-c", _LOAD)


def test_concurrent_pushes_of_several_configurations_are_all_loaded_back(
    machine: Machine,
) -> None:
    machine.run(heavy_python(), "-c", _PUSH, "admin/pushed")
    info = machine.node.call("GET", "/api/datasets/admin/pushed").json
    assert info["private"] is True
