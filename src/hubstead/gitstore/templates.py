"""The initial ``.gitattributes`` of a new repository (protocol/hub-api.md 3.2)."""

from __future__ import annotations

from hubstead.ids import GIT_KINDS, Kind

_LFS = "filter=lfs diff=lfs merge=lfs -text"

_ALL = """*.7z *.arrow *.bin *.bz2 *.ckpt *.ftz *.gz *.h5 *.joblib *.lfs.* *.mlmodel *.model
*.msgpack *.npy *.npz *.onnx *.ot *.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar *.safetensors
saved_model/**/* *.tar.* *.tar *.tflite *.tgz *.wasm *.xz *.zip *.zst *tfevents*""".split()

_DATASET_ARCHIVES = "*.lz4 *.mds".split()
_DATASET_MEDIA = {
    "Audio files - uncompressed": "*.pcm *.sam *.raw",
    "Audio files - compressed": "*.aac *.flac *.mp3 *.ogg *.wav",
    "Image files - uncompressed": "*.bmp *.gif *.png *.tiff",
    "Image files - compressed": "*.jpg *.jpeg *.webp",
    "Video files - compressed": "*.mp4 *.webm",
}


def gitattributes(kind: Kind) -> str:
    """Return the initial ``.gitattributes`` for a kind of repository."""
    patterns = _ALL
    if kind is Kind.DATASET:
        patterns = sorted([*_ALL, *_DATASET_ARCHIVES])
    lines = [f"{pattern} {_LFS}" for pattern in patterns]
    if kind is Kind.DATASET:
        for title, media in _DATASET_MEDIA.items():
            lines.append(f"# {title}")
            lines.extend(f"{pattern} {_LFS}" for pattern in media.split())
    return "\n".join(lines) + "\n"


#: The initial ``.gitattributes`` by kind of repository.
GITATTRIBUTES = {kind: gitattributes(kind) for kind in GIT_KINDS}
